/** From an explanation to what is drawn of it: one output, one row or all of them, the largest shares first. */

import type { IBar } from '../charts/bars';
import type { IPoint } from '../charts/dependence';
import { shown } from '../charts/scale';
import type { ISwarm } from '../charts/beeswarm';
import type { IStep } from '../charts/waterfall';
import type { Say } from '../say';
import type { IExplanation } from './explanation';

/** How many features are drawn one by one; the others are summed where they can be. */
export const DRAWN = 10;
/** As many points as a picture of many rows holds. */
export const MOST_POINTS = 5000;

/** Every output that can be looked at, the complement of a single one among them. */
export function outputsOf(made: IExplanation): string[] {
  return made.complement === null ? made.outputs : [...made.outputs, made.complement];
}

/** Where an output's numbers stand, and with which sign; of an unknown output those of the first. */
export function placeOf(made: IExplanation, output: string | null): { at: number; sign: 1 | -1 } {
  if (output !== null && output === made.complement) {
    return { at: 0, sign: -1 };
  }
  const at = output === null ? -1 : made.outputs.indexOf(output);
  return { at: at < 0 ? 0 : at, sign: 1 };
}

/** The output that is shown when nobody has chosen one: the likeliest of the first row. */
export function likeliest(made: IExplanation): string {
  const [row] = made.prediction;
  const at = row ? row.indexOf(Math.max(...row)) : 0;
  return made.outputs[Math.max(0, at)] ?? '';
}

/** A base or a prediction of one output: the complement of p is 1 − p, and that of a margin its negative. */
export function answer(made: IExplanation, values: number[][], row: number, output: string | null): number {
  const { at, sign } = placeOf(made, output);
  const value = values[row][at];
  return sign > 0 ? value : made.unit === 'probability' ? 1 - value : -value;
}

/** The shares of one row, a feature each. */
export function sharesOf(made: IExplanation, row: number, output: string | null): number[] {
  const { at, sign } = placeOf(made, output);
  // Adding zero makes one zero of two.
  return made.values[row].map(each => sign * each[at] + 0);
}

/** `SHAP (native, exact)` or `LIME`. */
export function methodOf(made: IExplanation, say: Say): string {
  if (made.kind === 'surrogate') {
    return 'LIME';
  }
  return made.isExact ? say.__('SHAP (%1, exact)', made.method) : say.__('SHAP (%1)', made.method);
}

/** A feature's value in a row as text, with its unit. */
export function valueOf(made: IExplanation, row: number, feature: number, say: Say): string {
  const value = made.data[row][feature];
  if (value === '') {
    return say.__('missing');
  }
  const text = typeof value === 'number' ? shown(value) : value;
  return made.units[feature] ? `${text} ${made.units[feature]}` : text;
}

/** The places of the features from the largest size to the smallest, as the first explanation orders them. */
function ordered(sizes: number[][], most: number): number[] {
  const strength = (at: number): number =>
    Math.max(...sizes.map(each => each[at] / (each.reduce((one, other) => Math.max(one, other), 0) || 1)));
  const strengths = sizes[0].map((_, at) => strength(at));
  const kept = new Set(
    strengths
      .map((_, at) => at)
      .sort((one, other) => strengths[other] - strengths[one])
      .slice(0, most)
  );
  return sizes[0]
    .map((_, at) => at)
    .filter(at => kept.has(at))
    .sort((one, other) => sizes[0][other] - sizes[0][one]);
}

function isSelected(made: IExplanation, row: number, feature: number, output: string | null): boolean {
  return made.selected === null || made.selected[row][placeOf(made, output).at].includes(feature);
}

/** One row by all the methods on one order; what has no room is summed, so that the shares still add up. */
export function barsOf(explanations: IExplanation[], row: number, output: string | null, say: Say): IBar[] {
  const [first] = explanations;
  const shares = explanations.map(each => sharesOf(each, row, output));
  const order = ordered(
    shares.map(each => each.map(Math.abs)),
    DRAWN
  );
  const bars: IBar[] = order.map(at => ({
    name: first.names[at],
    value: valueOf(first, row, at, say),
    shares: explanations.map((each, place) => (isSelected(each, row, at, output) ? shares[place][at] : null))
  }));
  const rest = first.names.map((_, at) => at).filter(at => !order.includes(at));
  if (rest.length) {
    bars.push({
      name: say.__('%1 other features', rest.length),
      value: '',
      shares: explanations.map((each, place) =>
        rest.some(at => isSelected(each, row, at, output))
          ? rest.reduce((sum, at) => sum + shares[place][at], 0)
          : null
      )
    });
  }
  return bars;
}

/** The way of one row from base to prediction. */
export function stepsOf(made: IExplanation, row: number, output: string | null, say: Say): IStep[] {
  return barsOf([made], row, output, say).map(bar => ({
    name: bar.name,
    value: bar.value,
    share: bar.shares[0] ?? 0
  }));
}

/** What matters over all rows, by the mean size of the shares; of all explained rows, not only of those held here. */
export function importanceOf(explanations: IExplanation[], output: string | null): IBar[] {
  const sizes = explanations.map(each => {
    const { at } = placeOf(each, output);
    return each.importance
      ? each.importance.map(row => row[at])
      : each.names.map(
          (_, feature) =>
            each.values.reduce((sum, row) => sum + Math.abs(row[feature][at]), 0) /
            Math.max(1, each.values.length)
        );
  });
  return ordered(sizes, DRAWN).map(at => ({
    name: explanations[0].names[at],
    value: '',
    shares: sizes.map(each => each[at])
  }));
}

/** Every so many of the rows that are held, so that a picture has room for them. */
export function spread(rows: number, lanes: number): number[] {
  const step = Math.max(1, Math.ceil((rows * lanes) / MOST_POINTS));
  return Array.from({ length: Math.ceil(rows / step) }, (_, at) => at * step);
}

/** Swarms of the features that matter most. */
export function swarmsOf(made: IExplanation, output: string | null): ISwarm[] {
  const order = importanceOf([made], output).map(bar => made.names.indexOf(bar.name));
  const rows = spread(made.values.length, order.length);
  const { at, sign } = placeOf(made, output);
  return order.map(feature => ({
    name: made.names[feature],
    shares: rows.map(row => sign * made.values[row][feature][at] + 0),
    heights: heightsOf(rows.map(row => made.data[row][feature]))
  }));
}

/** How high each number is among all, by rank; kinds have no order. */
export function heightsOf(values: (number | string)[]): (number | null)[] {
  const sorted = values
    .filter((each): each is number => typeof each === 'number')
    .sort((one, other) => one - other);
  if (sorted.length < 2 || sorted[0] === sorted[sorted.length - 1]) {
    return values.map(each => (typeof each === 'number' ? 0.5 : null));
  }
  const first = new Map<number, number>();
  sorted.forEach((each, at) => first.has(each) || first.set(each, at));
  return values.map(each => (typeof each === 'number' ? (first.get(each) ?? 0) / (sorted.length - 1) : null));
}

/** The points of one feature: its value and its share, a row each. */
export function pointsOf(made: IExplanation, feature: number, output: string | null): IPoint[] {
  const { at, sign } = placeOf(made, output);
  return spread(made.values.length, 1).map(row => ({
    value: made.data[row][feature],
    share: sign * made.values[row][feature][at] + 0
  }));
}
