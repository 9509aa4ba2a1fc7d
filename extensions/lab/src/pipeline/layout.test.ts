import { BOX, type ILayout, type INode, layout, neighbour, reduced } from './layout';

/** A pipeline of `count` tasks, drawn from a seed: each reads up to three of those before it. */
function drawn(count: number, seed: number): INode[] {
  let state = seed;
  const next = (below: number): number => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return Math.floor((state / 2147483648) * below);
  };
  return Array.from({ length: count }, (_, at) => ({
    name: `t${at}`,
    upstream: at ? Array.from({ length: next(4) }, () => `t${next(at)}`) : []
  }));
}

function doOverlap(found: ILayout): boolean {
  return found.places.some((one, at) =>
    found.places
      .slice(at + 1)
      .some(other => Math.abs(one.x - other.x) < BOX.width && Math.abs(one.y - other.y) < BOX.height)
  );
}

/** Whether an arrow goes through a box: between layers nothing lies, so only its ways straight down count. */
function crossesBox(found: ILayout): boolean {
  return found.arrows.some(({ stops }) =>
    stops.some(([x, y], at) => {
      const isStraight = at > 0 && stops[at - 1][0] === x && y - stops[at - 1][1] === BOX.height;
      return (
        isStraight &&
        found.places.some(box => box.y + BOX.height === y && x >= box.x && x <= box.x + BOX.width)
      );
    })
  );
}

describe('layout', () => {
  it('puts a task below everything that it reads', () => {
    const found = layout([
      { name: 'a', upstream: [] },
      { name: 'b', upstream: ['a'] },
      { name: 'c', upstream: ['a', 'b'] }
    ]);

    expect(found.places.map(place => [place.name, place.layer])).toEqual([
      ['a', 0],
      ['b', 1],
      ['c', 2]
    ]);
    expect(found.arrows.map(({ from, to }) => `${from}→${to}`)).toEqual(['a→b', 'b→c']);
  });

  it('leaves out an arrow that a longer way implies', () => {
    const found = reduced([
      { name: 'a', upstream: [] },
      { name: 'b', upstream: ['a'] },
      { name: 'c', upstream: ['a', 'b', 'a'] }
    ]);

    expect([...found]).toEqual([
      ['a', []],
      ['b', ['a']],
      ['c', ['b']]
    ]);
  });

  it.each([1, 2, 3, 4, 5])('lets neither two boxes nor a box and an arrow meet (pipeline %i)', seed => {
    const nodes = drawn(200, seed);

    const found = layout(nodes);

    expect(found.places).toHaveLength(200);
    expect(doOverlap(found)).toBe(false);
    expect(crossesBox(found)).toBe(false);
    const layers = new Map(found.places.map(place => [place.name, place.layer]));
    expect(
      nodes.every(node => node.upstream.every(above => layers.get(above)! < layers.get(node.name)!))
    ).toBe(true);
    expect(found.places.every(place => place.x >= 0 && place.x + BOX.width <= found.width)).toBe(true);
    expect(found.places.every(place => place.y >= 0 && place.y + BOX.height <= found.height)).toBe(true);
  });

  it('draws the same pipeline in the same way', () => {
    expect(layout(drawn(60, 9))).toEqual(layout(drawn(60, 9)));
  });

  it('draws nothing of nothing, and takes no notice of what is not there', () => {
    expect(layout([]).places).toEqual([]);
    expect(layout([{ name: 'a', upstream: ['gone', 'a'] }]).arrows).toEqual([]);
  });

  it('leads from box to box by the arrow keys', () => {
    const found = layout([
      { name: 'a', upstream: [] },
      { name: 'b', upstream: ['a'] },
      { name: 'c', upstream: ['a'] }
    ]);

    expect(['ArrowDown', 'ArrowUp', 'End'].map(key => neighbour(found, 'a', key))).toEqual(['b', 'a', 'c']);
    expect(['ArrowRight', 'ArrowLeft', 'ArrowUp'].map(key => neighbour(found, 'b', key))).toEqual([
      'c',
      'b',
      'a'
    ]);
    expect(neighbour(found, 'unknown', 'ArrowUp')).toBe('a');
  });
});
