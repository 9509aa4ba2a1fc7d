/** The doors of the panel of experiments, one function each. */

import { request } from '../request';
import type { IRecordedAs, Row, Value } from './rows';

export interface IPage {
  rows: Row[];
  /** Where the list goes on; empty at its end. */
  next: string;
  /** How many runs were read for it. */
  looked?: number;
  /** False when too much changed for the list to be brought up to date: it is to be read anew. */
  is_whole: boolean;
  /** What to ask next time with `since`. */
  now: number;
  experiments?: string[];
}

export interface IWhole {
  row: Row;
  experiment: string;
  note: string;
  is_note_whole: boolean;
  parameters: [string, string][];
  metrics: [string, Value][];
  tags: [string, string][];
  environment: [string, string][];
  about: [string, string][];
  files: [string, number][];
  /** Why the files cannot be listed; empty when they can. */
  files_problem: string;
  children: Row[];
}

/** A name, whether its values differ, and the value in each run. */
export type Line = [string, boolean, (string | number | null)[]];

export interface ICompared {
  runs: Row[];
  parameters: Line[];
  metrics: Line[];
  tags: Line[];
  environment: Line[];
  /** Null where the packages of some run are not known. */
  packages: Line[] | null;
}

export interface ICellChange {
  change: 'same' | 'changed' | 'added' | 'removed';
  kind: string;
  left: number | null;
  right: number | null;
  lines: [' ' | '+' | '-', string][];
}

export interface ISourceDifference {
  is_same: boolean;
  is_whole: boolean;
  cells: ICellChange[];
}

export interface ICurves {
  metric: string;
  curves: [step: number, at: number, value: Value][][];
}

export interface IRestored {
  path: string;
  put: string[];
  left: string[];
}

/** What is asked always names a file or folder of the project: `path`. */
export const doors = {
  runs: (path: string, asked: Record<string, string | number>, signal?: AbortSignal): Promise<IPage> =>
    request('experiments/runs', { arguments: { path, ...asked }, signal }),
  tasks: (path: string): Promise<IRecordedAs> => request('experiments/tasks', { arguments: { path } }),
  run: (path: string, run: string): Promise<IWhole> =>
    request('experiments/run', { arguments: { path, run } }),
  history: (path: string, runs: string[], metric: string): Promise<ICurves> =>
    request('experiments/history', { arguments: { path, runs: runs.join(','), metric } }),
  compare: (path: string, runs: string[]): Promise<ICompared> =>
    request('experiments/compare', { arguments: { path, runs: runs.join(',') } }),
  source: (path: string, left: string, right: string): Promise<ISourceDifference> =>
    request('experiments/source', { arguments: { path, left, right } }),
  note: (path: string, run: string, text: string): Promise<unknown> =>
    request('experiments/note', { body: { path, run, text } }),
  tag: (path: string, run: string, name: string, value: string | null): Promise<unknown> =>
    request('experiments/tag', { body: { path, run, name, value } }),
  notebook: (path: string, run: string): Promise<{ path: string }> =>
    request('experiments/notebook', { body: { path, run } }),
  restore: (path: string, run: string, into: string): Promise<IRestored> =>
    request('experiments/restore', { body: { path, run, into } })
};

export type Doors = typeof doors;
