/** An explanation as a notebook keeps it, checked before anything of it is drawn: it may come from anyone. */

export interface IExplanation {
  kind: 'shares' | 'surrogate';
  method: string;
  unit: string;
  isExact: boolean;
  seed: number | null;
  /** How many rows were explained; of how many the numbers are here tells `values`. */
  rows: number;
  names: string[];
  units: string[];
  outputs: string[];
  /** The other class of two, whose shares have the other sign. */
  complement: string | null;
  /** Rows, features, outputs. */
  values: number[][][];
  /** Rows, outputs. */
  base: number[][];
  prediction: number[][];
  data: (number | string)[][];
  /** Rows, outputs, features that a surrogate took; null for shares. */
  selected: number[][][] | null;
  /** Rows, outputs: how much of the model a surrogate tells. */
  r2: number[][] | null;
  /** Mean sizes of the shares over all rows: features, outputs. */
  importance: number[][] | null;
  gap: number | null;
  notes: string[];
}

export interface ILine {
  name: string;
  verdict: 'pass' | 'warn' | 'fail' | 'not evaluated';
  sentence: string;
}

export interface IBundle {
  explanations: IExplanation[];
  lines: ILine[];
  /** Features that are left out, of those of which there are too many. */
  leftOut: number;
}

export const MOST_FEATURES = 200;
export const LONGEST = 500;
const MOST_ROWS = 5000;
const MOST_OUTPUTS = 200;
const MOST_NUMBERS = 200_000;
const MOST_NOTES = 100;
const VERDICTS = ['pass', 'warn', 'fail', 'not evaluated'];

/** Why data is not shown. */
export class Unreadable extends Error {}

type Loose = Record<string, unknown>;

/** What a bundle says. Raises `Unreadable` for what is not one of ours, whatever it is. */
export function read(data: unknown): IBundle {
  const bundle = object(data, 'the explanation');
  if (own(bundle, 'version') !== 1) {
    throw new Unreadable('it is of another version');
  }
  const listed = list(own(bundle, 'explanations'), 'explanations', 2);
  if (!listed.length) {
    throw new Unreadable('it holds no explanation');
  }
  const explanations = listed.map(explanation);
  const [first] = explanations;
  for (const other of explanations) {
    const isSame =
      other.unit === first.unit &&
      other.values.length === first.values.length &&
      same(other.names, first.names) &&
      same(other.outputs, first.outputs) &&
      other.complement === first.complement;
    if (!isSame) {
      throw new Unreadable('its explanations speak of different things');
    }
  }
  const audit = own(bundle, 'audit');
  const { kept, leftOut } = capped(explanations);
  return { explanations: kept, lines: audit ? lines(own(object(audit, 'the audit'), 'lines')) : [], leftOut };
}

/** The lines of an audit. Raises `Unreadable`. */
export function lines(data: unknown): ILine[] {
  return list(data, 'the audit', MOST_NOTES).map(each => {
    const line = object(each, 'a line of the audit');
    const verdict = text(own(line, 'verdict'), 'a verdict');
    if (!VERDICTS.includes(verdict)) {
      throw new Unreadable('it holds an unknown verdict');
    }
    return {
      name: text(own(line, 'name'), 'a name'),
      verdict: verdict as ILine['verdict'],
      sentence: text(own(line, 'sentence'), 'a sentence')
    };
  });
}

function explanation(data: unknown): IExplanation {
  const held = object(data, 'an explanation');
  const kind = own(held, 'kind');
  if (kind !== 'shares' && kind !== 'surrogate') {
    throw new Unreadable('it is of an unknown kind');
  }
  const names = texts(own(held, 'feature_names'), 'feature_names', MOST_NUMBERS);
  const outputs = texts(own(held, 'output_names'), 'output_names', MOST_OUTPUTS);
  const all = list(own(held, 'values'), 'values', MOST_ROWS);
  const rows = all.length;
  if (rows * names.length * outputs.length > MOST_NUMBERS) {
    throw new Unreadable('it holds too many numbers');
  }
  const features = names.length;
  const width = outputs.length;
  const surrogate = own(held, 'surrogate');
  const found = surrogate ? object(surrogate, 'the surrogate') : null;
  const complement = own(held, 'complement');
  if (complement !== null && width !== 1) {
    throw new Unreadable('it has a complement of several outputs');
  }
  const importance = own(held, 'importance');
  return {
    kind,
    method: text(own(held, 'method'), 'method'),
    unit: text(own(held, 'unit'), 'unit'),
    isExact: own(held, 'is_exact') === true,
    seed: optional(own(held, 'seed')),
    rows: Math.max(rows, optional(own(held, 'rows')) ?? rows),
    names,
    units: exactly(
      texts(own(held, 'feature_units'), 'feature_units', MOST_NUMBERS),
      features,
      'feature_units'
    ),
    outputs,
    complement: complement === null ? null : text(complement, 'complement'),
    values: all.map(row =>
      exactly(list(row, 'values', features), features, 'values').map(each => numbers(each, width, 'values'))
    ),
    base: table(own(held, 'base'), rows, width, 'base'),
    prediction: table(own(held, 'prediction'), rows, width, 'prediction'),
    data: exactly(list(own(held, 'data'), 'data', rows), rows, 'data').map(row =>
      exactly(list(row, 'data', features), features, 'data').map(cell)
    ),
    selected: found
      ? exactly(list(own(found, 'selected'), 'selected', rows), rows, 'selected').map(row =>
          exactly(list(row, 'selected', width), width, 'selected').map(each => {
            const chosen = list(each, 'selected', features);
            return numbers(chosen, chosen.length, 'selected');
          })
        )
      : null,
    r2: found ? table(own(found, 'r2'), rows, width, 'r2') : null,
    importance: importance === null ? null : table(importance, features, width, 'importance'),
    gap: optional(own(held, 'gap')),
    notes: texts(own(held, 'notes'), 'notes', MOST_NOTES)
  };
}

/** Of too many features those that matter most to any explanation, in their own order. */
function capped(explanations: IExplanation[]): { kept: IExplanation[]; leftOut: number } {
  const all = explanations[0].names.length;
  if (all <= MOST_FEATURES) {
    return { kept: explanations, leftOut: 0 };
  }
  const size = (at: number): number =>
    Math.max(
      ...explanations.map(each =>
        each.values.reduce((sum, row) => row[at].reduce((held, value) => held + Math.abs(value), sum), 0)
      )
    );
  const sizes = explanations[0].names.map((_, at) => size(at));
  const chosen = sizes
    .map((_, at) => at)
    .sort((one, other) => sizes[other] - sizes[one])
    .slice(0, MOST_FEATURES)
    .sort((one, other) => one - other);
  const cut = <T>(values: T[]): T[] => chosen.map(at => values[at]);
  const kept = explanations.map(each => ({
    ...each,
    names: cut(each.names),
    units: cut(each.units),
    values: each.values.map(cut),
    data: each.data.map(cut),
    importance: each.importance && cut(each.importance),
    selected:
      each.selected &&
      each.selected.map(row =>
        row.map(places => places.map(place => chosen.indexOf(place)).filter(at => at >= 0))
      )
  }));
  return { kept, leftOut: all - MOST_FEATURES };
}

/** A property of the object itself; what lies on its prototype is nothing that was kept. */
function own(held: Loose, name: string): unknown {
  return Object.prototype.hasOwnProperty.call(held, name) ? (held[name] ?? null) : null;
}

function object(data: unknown, what: string): Loose {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) {
    throw new Unreadable(`${what} is no object`);
  }
  return data as Loose;
}

function list(data: unknown, what: string, most: number): unknown[] {
  if (!Array.isArray(data)) {
    throw new Unreadable(`${what} is no list`);
  }
  if (data.length > most) {
    throw new Unreadable(`${what} is longer than ${most}`);
  }
  return data;
}

function exactly<T>(values: T[], length: number, what: string): T[] {
  if (values.length !== length) {
    throw new Unreadable(`${what} has ${values.length} entries instead of ${length}`);
  }
  return values;
}

function text(data: unknown, what: string): string {
  if (typeof data !== 'string') {
    throw new Unreadable(`${what} is no text`);
  }
  return data.length > LONGEST ? `${data.slice(0, LONGEST)}…` : data;
}

function texts(data: unknown, what: string, most: number): string[] {
  return list(data, what, most).map(each => text(each, what));
}

function finite(data: unknown, what: string): number {
  if (typeof data !== 'number' || !Number.isFinite(data)) {
    throw new Unreadable(`${what} holds what is no finite number`);
  }
  return data;
}

function optional(data: unknown): number | null {
  return typeof data === 'number' && Number.isFinite(data) ? data : null;
}

function numbers(data: unknown, length: number, what: string): number[] {
  return exactly(list(data, what, Math.max(length, 1)), length, what).map(each => finite(each, what));
}

function table(data: unknown, rows: number, width: number, what: string): number[][] {
  return exactly(list(data, what, Math.max(rows, 1)), rows, what).map(row => numbers(row, width, what));
}

function cell(data: unknown): number | string {
  if (typeof data === 'number' && Number.isFinite(data)) {
    return data;
  }
  if (data === null) {
    return '';
  }
  return typeof data === 'boolean' ? String(data) : text(data, 'data');
}

function same(one: string[], other: string[]): boolean {
  return one.length === other.length && one.every((each, at) => each === other[at]);
}
