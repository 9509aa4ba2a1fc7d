/** Runs as the server sends them, and the list of them: found, sorted, and the part of it that is on screen. */

export type Kind = 'pipeline' | 'task' | 'child' | 'session' | 'own';
export type Status = 'running' | 'done' | 'failed' | 'stopped' | 'interrupted';

/** A number, or the name of what is none: JSON has neither. */
export type Value = number | 'NaN' | 'Infinity' | '-Infinity';

/** A run as it travels: a list without names, in the order of `lab/run_answers.py`. */
export type Row = [
  id: string,
  name: string,
  kind: Kind,
  status: Status,
  start: number,
  end: number | null,
  notebook: string,
  task: string,
  parent: string,
  source: string,
  metrics: [string, Value][],
  parameters: [string, string][],
  tags: [string, string][],
  isCut: boolean
];

export interface IRun {
  id: string;
  name: string;
  kind: Kind;
  status: Status;
  /** Milliseconds since the epoch. */
  start: number;
  end: number | null;
  notebook: string;
  task: string;
  parent: string;
  source: string;
  metrics: Map<string, number>;
  parameters: [string, string][];
  tags: [string, string][];
  /** Whether the run has more, or longer, values than are known here. */
  isCut: boolean;
  /** What a search looks through, in small letters. */
  text: string;
}

/** As what a notebook is recorded: its path, and [file of the pipeline, task] for each task that it is. */
export interface IRecordedAs {
  notebook: string;
  tasks: [string, string][];
}

export type SortKey = 'start' | 'name' | 'seconds' | 'status' | 'metric';

export interface IWish {
  /** Words that must all be found, and comparisons like `auc>0.9`. */
  search: string;
  kind: Kind | '';
  status: Status | '';
  /** Only runs of this notebook; null for all. */
  of: IRecordedAs | null;
  sort: SortKey;
  /** The metric that is shown, and sorted by. */
  metric: string;
  isRising: boolean;
}

/** The number that was sent. */
export function toNumber(value: Value): number {
  return typeof value === 'number'
    ? value
    : value === 'NaN'
      ? NaN
      : value === 'Infinity'
        ? Infinity
        : -Infinity;
}

/** A row with its names. */
export function toRun(row: Row): IRun {
  const [
    id,
    name,
    kind,
    status,
    start,
    end,
    notebook,
    task,
    parent,
    source,
    metrics,
    parameters,
    tags,
    isCut
  ] = row;
  const words = [
    name,
    id,
    notebook,
    task,
    source,
    ...[...parameters, ...tags].map(([key, value]) => `${key}=${value}`)
  ];
  return {
    id,
    name,
    kind,
    status,
    start,
    end,
    notebook,
    task,
    parent,
    source,
    metrics: new Map(metrics.map(([key, value]) => [key, toNumber(value)])),
    parameters,
    tags,
    isCut,
    text: words.join('\n').toLowerCase()
  };
}

/** How long a run took, in seconds; until now while it runs. */
export function seconds(run: IRun, now: number): number {
  return Math.max(0, ((run.end ?? now) - run.start) / 1000);
}

interface IComparison {
  metric: string;
  holds: (value: number) => boolean;
}

const COMPARISON = /^([^\s<>=]+)(<=|>=|<|>)([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)$/i;

/** The words and the comparisons of a search; double quotes hold words together. */
export function parse(search: string): { words: string[]; comparisons: IComparison[] } {
  const words: string[] = [];
  const comparisons: IComparison[] = [];
  search.split('"').forEach((part, number) => {
    for (const word of number % 2 ? [part] : part.split(/\s+/)) {
      const match = number % 2 ? null : COMPARISON.exec(word);
      if (match) {
        comparisons.push({ metric: match[1].toLowerCase(), holds: comparing(match[2], Number(match[3])) });
      } else if (word.trim()) {
        words.push(word.trim().toLowerCase());
      }
    }
  });
  return { words, comparisons };
}

function comparing(sign: string, bound: number): (value: number) => boolean {
  switch (sign) {
    case '<':
      return value => value < bound;
    case '<=':
      return value => value <= bound;
    case '>':
      return value => value > bound;
    default:
      return value => value >= bound;
  }
}

/** Whether a run belongs to a notebook: by its path, as a task of a pipeline, or through the run around it. */
export function belongs(run: IRun, of: IRecordedAs, runs: ReadonlyMap<string, IRun>): boolean {
  let at: IRun | undefined = run;
  for (let depth = 0; at && depth < 5; depth++) {
    if (of.notebook && at.notebook === of.notebook) {
      return true;
    }
    const around: IRun | undefined = runs.get(at.parent);
    const { task } = at;
    if (
      at.kind === 'task' &&
      around &&
      of.tasks.some(([file, name]) => file === around.source && name === task)
    ) {
      return true;
    }
    at = around;
  }
  return false;
}

/** All runs in the order wished for; runs without a value come last either way. */
export function sorted(runs: Iterable<IRun>, wish: IWish, now: number): IRun[] {
  const way = wish.isRising ? 1 : -1;
  const key = keyOf(wish, now);
  const keyed = Array.from(runs, run => ({ run, key: key(run) }));
  keyed.sort(
    (one, other) =>
      compare(one.key, other.key, way) ||
      other.run.start - one.run.start ||
      (one.run.id < other.run.id ? -1 : 1)
  );
  return keyed.map(({ run }) => run);
}

type Key = number | string;

function keyOf(wish: IWish, now: number): (run: IRun) => Key {
  switch (wish.sort) {
    case 'name':
      return run => run.name.toLowerCase();
    case 'status':
      return run => run.status;
    case 'seconds':
      return run => seconds(run, now);
    case 'metric':
      return run => run.metrics.get(wish.metric) ?? NaN;
    default:
      return run => run.start;
  }
}

function compare(one: Key, other: Key, way: number): number {
  const [isFirstNone, isSecondNone] = [Number.isNaN(one), Number.isNaN(other)];
  if (isFirstNone || isSecondNone) {
    return Number(isFirstNone) - Number(isSecondNone);
  }
  return one < other ? -way : one > other ? way : 0;
}

/** Those of the runs, in their order, that are wished for. */
export function chosen(runs: readonly IRun[], wish: IWish, all: ReadonlyMap<string, IRun>): IRun[] {
  const { words, comparisons } = parse(wish.search);
  const { of } = wish;
  return runs.filter(
    run =>
      (!wish.kind || run.kind === wish.kind) &&
      (!wish.status || run.status === wish.status) &&
      words.every(word => run.text.includes(word)) &&
      comparisons.every(({ metric, holds }) => {
        for (const [name, value] of run.metrics) {
          if (name.toLowerCase() === metric) {
            return holds(value);
          }
        }
        return false;
      }) &&
      (!of || belongs(run, of, all))
  );
}

/** Names of metrics, those that most runs have first. */
export function metricNames(runs: Iterable<IRun>, most = 50): string[] {
  const counts = new Map<string, number>();
  for (const run of runs) {
    for (const name of run.metrics.keys()) {
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
  }
  return [...counts]
    .sort(([one, few], [other, many]) => many - few || (one < other ? -1 : 1))
    .slice(0, most)
    .map(([name]) => name);
}

export interface IStretch {
  /** The first row that is drawn, and the one after the last. */
  begin: number;
  end: number;
}

/** Which rows of a long list are drawn: those in sight, and some more on either side. */
export function inSight(options: {
  top: number;
  height: number;
  rowHeight: number;
  count: number;
  more?: number;
}): IStretch {
  const { top, height, rowHeight, count, more = 8 } = options;
  const first = Math.floor(Math.max(0, top) / rowHeight);
  const last = Math.ceil((Math.max(0, top) + Math.max(0, height)) / rowHeight);
  const end = Math.min(count, last + more);
  return { begin: Math.max(0, Math.min(first - more, end)), end };
}

/** Where to scroll so that a row is in sight: as little as possible. */
export function scrolledTo(row: number, top: number, height: number, rowHeight: number): number {
  if (row * rowHeight < top) {
    return row * rowHeight;
  }
  return (row + 1) * rowHeight > top + height ? (row + 1) * rowHeight - height : top;
}
