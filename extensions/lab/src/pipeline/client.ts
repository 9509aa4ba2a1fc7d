/** What the server knows of pipelines: one method a door. */

import { request } from '../request';
import type { IContract } from './form';

export type State =
  'new' | 'fresh' | 'stale' | 'waits' | 'queued' | 'running' | 'failed' | 'blocked' | 'stopped';

export interface IProduct {
  key: string;
  /** The contents path; null where it cannot be opened here. */
  path: string | null;
  file: string;
  exists: boolean;
}

export interface ILast {
  run_id: string;
  at: number;
  outcome: string;
  elapsed_s: number;
  reason: string;
  has_notebook: boolean;
}

/** What a run has told of a task. */
export interface INow {
  state: State;
  reason?: string;
  outcome?: string;
  attempt?: number;
  cell?: number;
  cells?: number;
  elapsed_s?: number;
  at?: number;
}

export interface ITask extends INow {
  name: string;
  notebook: string | null;
  upstream: string[];
  products: IProduct[];
  parameters: Record<string, unknown>;
  /** Why it is not fresh. */
  reasons: string[];
  last: ILast | null;
  executed: string | null;
}

export interface IProblem {
  message: string;
  hint: string;
}

export interface IRun {
  id: string;
  run_id: string;
  at: number;
  is_running: boolean;
  is_stopping: boolean;
  outcome: string;
  error: IProblem | null;
}

export interface IPipeline {
  project: string | null;
  pipelines: { path: string; name: string }[];
  path: string | null;
  name: string;
  tasks: ITask[];
  left_out: number;
  problem: IProblem | null;
  run: IRun | null;
}

export interface IFact {
  kind: 'begun' | 'task' | 'stopping' | 'ended';
  path: string;
  run: string;
  task?: string;
  now?: INow;
}

export interface IChunk {
  task: string;
  cell: number;
  stream: string;
  text: string;
}

export interface IOutput {
  chunks: IChunk[];
  next: number;
  lost: boolean;
  has_more: boolean;
  standing: Record<string, string>;
  is_running: boolean;
}

/** Values as they were typed, by task and parameter. */
export type Typed = Record<string, Record<string, string>>;

export interface IOrder {
  task?: string;
  downstream?: boolean;
  force?: boolean;
  parameters: Typed;
}

/** A package that runs somewhere. */
export interface IJob {
  id: string;
  target: string;
  state: string;
  done: number;
  size: number;
  note: string;
}

export interface IPipelineClient {
  look(path: string): Promise<IPipeline>;
  contract(notebook: string): Promise<IContract>;
  check(notebook: string, parameters: Record<string, string>): Promise<Record<string, string>>;
  run(path: string, order: IOrder): Promise<IRun>;
  stop(run: string): Promise<IRun>;
  output(run: string, after: number): Promise<IOutput>;
  log(path: string, task: string, runId: string): Promise<{ text: string; is_cut: boolean }>;
  executed(path: string, task: string): Promise<string | null>;
  jobs(path: string): Promise<IJob[]>;
}

export const client: IPipelineClient = {
  look: path => request<IPipeline>('pipeline', { arguments: { path } }),
  contract: path => request<IContract>('pipeline/parameters', { arguments: { path } }),
  check: async (path, parameters) =>
    (await request<{ problems: Record<string, string> }>('pipeline/check', { body: { path, parameters } }))
      .problems,
  run: (path, order) => request<IRun>('pipeline/run', { body: { path, ...order } }),
  stop: run => request<IRun>('pipeline/stop', { body: { run } }),
  output: (run, after) => request<IOutput>('pipeline/output', { arguments: { run, after } }),
  log: (path, task, run_id) => request('pipeline/log', { arguments: { path, task, run_id } }),
  executed: async (path, task) =>
    (await request<{ path: string | null }>('pipeline/executed', { body: { path, task } })).path,
  jobs: path => request('jobs', { arguments: { path } })
};
