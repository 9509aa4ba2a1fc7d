/** From values to places: linear scales with round ticks, for charts that are drawn as SVG. */

export interface IScale {
  /** The place of a value; what is not finite lies at the start. */
  (value: number): number;
  /** Round values within the domain, in order. */
  ticks: number[];
  domain: [number, number];
}

/** A linear scale from `domain` to `range`; a domain of one value is widened around it. */
export function linear(domain: [number, number], range: [number, number], count = 5): IScale {
  let [low, high] = domain.map(value => (Number.isFinite(value) ? value : 0));
  if (low > high) {
    [low, high] = [high, low];
  }
  if (low === high) {
    const half = Math.abs(low) / 2 || 1;
    [low, high] = [low - half, high + half];
  }
  const [start, end] = range;
  const place = (value: number): number =>
    Number.isFinite(value) ? start + ((value - low) / (high - low)) * (end - start) : start;
  return Object.assign(place, { ticks: ticks(low, high, count), domain: [low, high] as [number, number] });
}

/** About `count` round values from `low` to `high`. */
export function ticks(low: number, high: number, count: number): number[] {
  const rough = (high - low) / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(factor => factor * power).find(size => size >= rough) ?? power;
  const found: number[] = [];
  for (let at = Math.ceil(low / step); at * step <= high + step * 1e-9; at++) {
    found.push(Number((at * step).toPrecision(12)));
  }
  return found;
}

/** A number as people read it: four significant digits, and never an empty text. */
export function shown(value: number): string {
  if (!Number.isFinite(value)) {
    return Number.isNaN(value) ? 'NaN' : value > 0 ? '∞' : '−∞';
  }
  const size = Math.abs(value);
  const text =
    size !== 0 && (size < 1e-4 || size >= 1e6) ? size.toExponential(2) : String(Number(size.toPrecision(4)));
  return value < 0 ? `−${text}` : text;
}
