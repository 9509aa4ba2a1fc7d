/** Where the boxes and arrows of a pipeline lie: layers from top to bottom, each arrow in a lane of its own. */

export interface INode {
  name: string;
  upstream: readonly string[];
}

/** Where a box lies; `x` and `y` are its left top. */
export interface IPlace {
  name: string;
  layer: number;
  x: number;
  y: number;
}

export interface IArrow {
  from: string;
  to: string;
  /** The way, as the attribute `d` of an SVG path. */
  way: string;
  /** The places that it passes, from the lower edge of a box to the upper edge of another. */
  stops: [number, number][];
}

export interface ILayout {
  places: IPlace[];
  arrows: IArrow[];
  width: number;
  height: number;
}

export const BOX = { width: 176, height: 44 };
const GAP = { x: 20, y: 40, lane: 4 };
const LANE = 10;
const MARGIN = 12;
const SWEEPS = 4;

/** A box, or the point where an arrow crosses a layer; both take room in it. */
interface ISlot {
  name: string | null;
  layer: number;
  above: ISlot[];
  below: ISlot[];
  x: number;
}

/** Lay out nodes that come in topological order; what is upstream and not there, or comes later, counts for nothing. */
export function layout(nodes: readonly INode[]): ILayout {
  const upstream = reduced(nodes);
  const slots = new Map<string, ISlot>();
  const rows: ISlot[][] = [];
  const put = (name: string | null, layer: number): ISlot => {
    const slot: ISlot = { name, layer, above: [], below: [], x: 0 };
    (rows[layer] ??= []).push(slot);
    return slot;
  };
  for (const [name, layer] of layered(upstream)) {
    slots.set(name, put(name, layer));
  }
  const routes = [...upstream].flatMap(([name, direct]) =>
    direct.map(above => route(slots.get(above)!, slots.get(name)!, put))
  );
  order(rows);
  const width = place(rows);
  const places = [...slots].map(([name, slot]) => ({
    name,
    layer: slot.layer,
    x: slot.x,
    y: top(slot.layer)
  }));
  const height = rows.length ? top(rows.length - 1) + BOX.height + MARGIN : 2 * MARGIN;
  return { places, arrows: routes.map(arrow), width, height };
}

/** The same order with the fewest arrows: one that a longer way implies is left out. */
export function reduced(nodes: readonly INode[]): Map<string, string[]> {
  const above = new Map<string, Set<string>>();
  const kept = new Map<string, string[]>();
  for (const { name, upstream } of nodes) {
    const direct = [...new Set(upstream)].filter(other => above.has(other) && other !== name);
    const all = new Set(direct);
    for (const other of direct) {
      above.get(other)!.forEach(found => all.add(found));
    }
    above.set(name, all);
    kept.set(
      name,
      direct.filter(found => !direct.some(other => above.get(other)!.has(found)))
    );
  }
  return kept;
}

/** The layer of each task: one below the last that it reads; one that reads nothing stands right above its reader. */
function layered(upstream: Map<string, string[]>): Map<string, number> {
  const layers = new Map<string, number>();
  const readers = new Map<string, number>();
  for (const [name, direct] of upstream) {
    layers.set(name, Math.max(-1, ...direct.map(above => layers.get(above)!)) + 1);
  }
  for (const [name, direct] of upstream) {
    for (const above of direct) {
      readers.set(above, Math.min(readers.get(above) ?? Infinity, layers.get(name)!));
    }
  }
  for (const [name, direct] of upstream) {
    if (!direct.length && readers.has(name)) {
      layers.set(name, readers.get(name)! - 1);
    }
  }
  return layers;
}

/** The box that a key leads to from the box `name`; the same one where there is none. */
export function neighbour(found: ILayout, name: string, key: string): string {
  const here = found.places.find(place => place.name === name);
  if (!here) {
    return found.places[0]?.name ?? name;
  }
  const nearest = (places: IPlace[]): string =>
    places.reduce<IPlace | null>(
      (best, place) => (best && Math.abs(best.x - here.x) <= Math.abs(place.x - here.x) ? best : place),
      null
    )?.name ?? name;
  const inLayer = (layer: number): IPlace[] => found.places.filter(place => place.layer === layer);
  switch (key) {
    case 'ArrowUp':
      return nearest(inLayer(here.layer - 1));
    case 'ArrowDown':
      return nearest(inLayer(here.layer + 1));
    case 'ArrowLeft':
      return nearest(inLayer(here.layer).filter(place => place.x < here.x));
    case 'ArrowRight':
      return nearest(inLayer(here.layer).filter(place => place.x > here.x));
    case 'Home':
      return found.places[0].name;
    case 'End':
      return found.places[found.places.length - 1].name;
  }
  return name;
}

function route(from: ISlot, to: ISlot, put: (name: null, layer: number) => ISlot): ISlot[] {
  const stops = [from];
  for (let layer = from.layer + 1; layer < to.layer; layer++) {
    stops.push(put(null, layer));
  }
  stops.push(to);
  for (let at = 1; at < stops.length; at++) {
    stops[at].above.push(stops[at - 1]);
    stops[at - 1].below.push(stops[at]);
  }
  return stops;
}

/** Bring each layer in the order of its neighbours, down and up again, so that few arrows cross. */
function order(rows: ISlot[][]): void {
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const isDown = sweep % 2 === 0;
    for (const row of isDown ? rows.slice(1) : rows.slice(0, -1).reverse()) {
      const beside = rows[row[0].layer + (isDown ? -1 : 1)];
      const rank = new Map(beside.map((slot, at) => [slot, at]));
      const own = new Map(row.map((slot, at) => [slot, at]));
      const wish = (slot: ISlot): number => {
        const near = isDown ? slot.above : slot.below;
        return near.length
          ? near.reduce((sum, other) => sum + rank.get(other)!, 0) / near.length
          : own.get(slot)!;
      };
      const wishes = new Map(row.map(slot => [slot, wish(slot)]));
      row.sort((one, other) => wishes.get(one)! - wishes.get(other)! || own.get(one)! - own.get(other)!);
    }
  }
}

/** Give each slot its place: below and above its neighbours, as far as its row has room; returns the width. */
function place(rows: ISlot[][]): number {
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    for (const row of sweep % 2 === 0 ? rows : [...rows].reverse()) {
      const wishes = row.map(slot => {
        const near = sweep === 0 ? slot.above : [...slot.above, ...slot.below];
        return near.length
          ? near.reduce((sum, other) => sum + middle(other), 0) / near.length - size(slot) / 2
          : slot.x;
      });
      spread(row, wishes);
    }
  }
  const slots = rows.flat();
  const left = Math.min(MARGIN, ...slots.map(slot => slot.x));
  for (const slot of slots) {
    slot.x = Math.round(slot.x - left) + MARGIN;
  }
  return Math.max(0, ...slots.map(slot => slot.x + size(slot))) + MARGIN;
}

/** Put the slots of a row as near to where they wish as their order and their sizes allow. */
function spread(row: ISlot[], wishes: number[]): void {
  // Without the room of those before it, slots only have to keep their order; those that would not, share one place.
  const before = row.map(() => 0);
  row.forEach((slot, at) => {
    if (at > 0) {
      before[at] =
        before[at - 1] +
        size(row[at - 1]) +
        (slot.name === null || row[at - 1].name === null ? GAP.lane : GAP.x);
    }
  });
  const blocks: { count: number; sum: number }[] = [];
  row.forEach((_, at) => {
    blocks.push({ count: 1, sum: wishes[at] - before[at] });
    for (let last = blocks.length - 1; last > 0; last--) {
      const [one, other] = [blocks[last - 1], blocks[last]];
      if (one.sum / one.count <= other.sum / other.count) {
        break;
      }
      blocks.splice(last - 1, 2, { count: one.count + other.count, sum: one.sum + other.sum });
    }
  });
  let at = 0;
  for (const { count, sum } of blocks) {
    for (let used = 0; used < count; used++, at++) {
      row[at].x = sum / count + before[at];
    }
  }
}

function size(slot: ISlot): number {
  return slot.name === null ? LANE : BOX.width;
}

function middle(slot: ISlot): number {
  return slot.x + size(slot) / 2;
}

function top(layer: number): number {
  return MARGIN + layer * (BOX.height + GAP.y);
}

/** Curves in the gaps between layers; through a layer it goes straight down. */
function arrow(stops: ISlot[]): IArrow {
  const passed: [number, number][] = [];
  let way = '';
  stops.forEach((slot, at) => {
    const x = middle(slot);
    if (at > 0) {
      const y = top(slot.layer);
      const [fromX, fromY] = passed[passed.length - 1];
      const half = (fromY + y) / 2;
      way += ` C${fromX},${half} ${x},${half} ${x},${y}`;
      passed.push([x, y]);
    }
    if (at < stops.length - 1) {
      const y = top(slot.layer) + BOX.height;
      way += at === 0 ? `M${x},${y}` : ` L${x},${y}`;
      passed.push([x, y]);
    }
  });
  return { from: stops[0].name!, to: stops[stops.length - 1].name!, way, stops: passed };
}
