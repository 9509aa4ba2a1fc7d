/** A pipeline as the panel knows it: what the server said last, what runs have told since, what the user typed. */

import { Signal, type ISignal } from '@lumino/signaling';
import type { IDisposable } from '@lumino/disposable';

import type {
  IChunk,
  IFact,
  IOrder,
  IOutput,
  IPipeline,
  IPipelineClient,
  IProblem,
  ITask,
  Typed,
  IJob
} from './client';
import type { IContract } from './form';

export type Sight = 'graph' | 'list';

/** What the page keeps of a run's output; the server keeps more, and the log of the run all of it. */
const KEPT_CHUNKS = 2000;
const SOON_MS = 300;
const ELSEWHERE_MS = 5000;

export class PipelineModel implements IDisposable {
  constructor(private readonly _client: IPipelineClient) {}

  /** The jobs of the project; nothing asks for them on its own. */
  jobs(path: string): Promise<IJob[]> {
    return this._client.jobs(path);
  }

  /** Emits whenever something that is shown may have changed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The pipeline, null before the first answer. */
  view: IPipeline | null = null;
  /** Why the last thing that the user asked for was not done. */
  error: unknown = null;
  /** Why the last look at the pipeline, or at what it says, failed. */
  lookError: unknown = null;
  isBusy = false;
  sight: Sight = 'graph';
  /** Whether a run also runs what is fresh. */
  isForced = false;
  selected: string | null = null;
  /** What was typed, by task and parameter; it counts for every run until it is taken back. */
  typed: Typed = {};
  problems: Typed = {};
  /** The contract of a notebook, or why there is none. */
  contracts = new Map<string, IContract | Error>();
  output: IOutputKept = nothing('');
  /** The end of the log of the selected task's last run, when no run that this page knows has said anything. */
  log: { task: string; text: string; isCut: boolean } | null = null;

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  get isRunning(): boolean {
    return this.view?.run?.is_running ?? false;
  }

  /** Whether a task runs that no run of this server's runs. */
  get runsElsewhere(): boolean {
    return !this.isRunning && (this.view?.tasks.some(task => task.state === 'running') ?? false);
  }

  get task(): ITask | null {
    return this.view?.tasks.find(task => task.name === this.selected) ?? null;
  }

  dispose(): void {
    this._isDisposed = true;
    clearTimeout(this._timer);
    Signal.clearData(this);
  }

  /** Show the pipeline that a file is, or belongs to. */
  async open(path: string): Promise<void> {
    this._path = path;
    this.selected = null;
    this.typed = this.problems = {};
    this.contracts.clear();
    await this.refresh();
  }

  /** Ask how the pipeline stands; while it is asked, once more afterwards is enough. */
  async refresh(): Promise<void> {
    clearTimeout(this._timer);
    if (this._refreshing) {
      this._isAskedAgain = true;
    } else {
      this._refreshing = this._refreshAll().finally(() => (this._refreshing = null));
    }
    await this._refreshing;
  }

  /** Refresh a moment later: what comes in a row is looked at once. */
  refreshSoon(): void {
    clearTimeout(this._timer);
    this._timer = setTimeout(() => void this.refresh(), SOON_MS);
  }

  /** Take in what the server told. */
  hear(fact: IFact): void {
    if (!this.view || fact.path !== this.view.path) {
      return;
    }
    this._facts.push(fact);
    const view = heard(this.view, fact);
    if (view === null) {
      this.refreshSoon();
    }
    if (view !== null) {
      this.view = view;
      this._changed.emit();
    }
  }

  select(name: string | null): void {
    this.selected = name;
    this.log = null;
    this._changed.emit();
    void this._describe();
  }

  show(sight: Sight): void {
    this.sight = sight;
    this._changed.emit();
  }

  force(isForced: boolean): void {
    this.isForced = isForced;
    this._changed.emit();
  }

  /** Note what was typed for a parameter of a task, or (undefined) take it back; the server judges it soon. */
  async type(task: string, name: string, text: string | undefined): Promise<void> {
    const texts = { ...this.typed[task] };
    if (text === undefined) {
      delete texts[name];
    } else {
      texts[name] = text;
    }
    this.typed = { ...this.typed, [task]: texts };
    this._changed.emit();
    await this.check(task);
  }

  /** Let the server judge what was typed for a task; its words are kept with the fields. */
  async check(task: string): Promise<boolean> {
    const notebook = this.view?.tasks.find(found => found.name === task)?.notebook;
    const typed = this.typed[task] ?? {};
    if (!notebook || !Object.keys(typed).length) {
      this.problems = { ...this.problems, [task]: {} };
      this._changed.emit();
      return true;
    }
    return this._carryOut(async () => {
      const problems = await this._client.check(notebook, typed);
      // What has been typed since is judged by another answer.
      if (typed === this.typed[task]) {
        this.problems = { ...this.problems, [task]: problems };
      }
      if (Object.keys(problems).length) {
        throw new Refused();
      }
    });
  }

  /** Start a run of the whole pipeline, or of `task`, or from there down. */
  async run(order: { task?: string; downstream?: boolean; force?: boolean } = {}): Promise<void> {
    const path = this.view?.path;
    if (!path) {
      return;
    }
    for (const task of Object.keys(this.typed)) {
      if (!(await this.check(task))) {
        this.select(task);
        return;
      }
    }
    const parameters = Object.fromEntries(
      Object.entries(this.typed).filter(([, texts]) => Object.keys(texts).length)
    );
    const full: IOrder = { force: this.isForced, ...order, parameters };
    await this._carryOut(async () => {
      const run = await this._client.run(path, full);
      if (this.view && run.id !== this.view.run?.id) {
        this.view = { ...this.view, run };
        this.output = nothing(run.id);
      }
      this.refreshSoon();
    });
  }

  async stop(): Promise<void> {
    const run = this.view?.run;
    if (run?.is_running) {
      await this._carryOut(async () => {
        const stopping = await this._client.stop(run.id);
        this.view = this.view && { ...this.view, run: stopping };
      });
    }
  }

  /** Called now and then while the panel is looked at: fetch what cells said, and notice an end that nobody told. */
  async follow(): Promise<void> {
    if (this.isRunning) {
      await this._fetch();
    } else if (this.runsElsewhere && Date.now() - this._refreshed > ELSEWHERE_MS) {
      await this.refresh();
    }
  }

  /** The contents path of the executed notebook of a task, made available if need be. */
  async executed(task: ITask): Promise<string | null> {
    const isBad = task.last?.has_notebook && ['failed', 'stopped', 'interrupted'].includes(task.last.outcome);
    if (task.state === 'fresh' || !isBad) {
      return task.executed;
    }
    let path: string | null = null;
    await this._carryOut(async () => {
      path = await this._client.executed(this.view?.path ?? '', task.name);
    });
    return path;
  }

  /** What the cells of a task said, as one text. */
  said(task: string): string {
    const said = this.output.chunks.filter(chunk => chunk.task === task).map(chunk => chunk.text);
    const standing = this.output.standing[task] ?? '';
    return said.join('') + standing || (this.log?.task === task ? this.log.text : '');
  }

  private async _fetch(): Promise<void> {
    const run = this.view?.run?.id;
    if (!run) {
      return;
    }
    await this._look(async () => {
      let found: IOutput;
      do {
        found = await this._client.output(run, this.output.next);
        if (run !== this.view?.run?.id) {
          return;
        }
        this.output = added(this.output, found);
      } while (found.has_more);
      if (!found.is_running && this.isRunning) {
        this.refreshSoon();
      }
    });
  }

  /** Fetch what the details of the selected task show. */
  private async _describe(): Promise<void> {
    const task = this.task;
    if (!task || !this.view?.path) {
      return;
    }
    const path = this.view.path;
    if (task.notebook && !this.contracts.has(task.notebook)) {
      try {
        this.contracts.set(task.notebook, await this._client.contract(task.notebook));
      } catch (error) {
        this.contracts.set(task.notebook, error as Error);
      }
      this._changed.emit();
    }
    if (task.last && !this.said(task.name)) {
      await this._look(async () => {
        const { text, is_cut } = await this._client.log(path, task.name, task.last!.run_id);
        this.log = { task: task.name, text, isCut: is_cut };
      });
    }
  }

  private async _refreshAll(): Promise<void> {
    do {
      this._isAskedAgain = false;
      await this._look(() => this._ask(this._path));
    } while (this._isAskedAgain && !this._isDisposed);
    // What was said between the last look and the end.
    await this._fetch();
  }

  private async _ask(path: string): Promise<void> {
    const since = (this._facts = []);
    const view = await this._client.look(path);
    if (path !== this._path) {
      return;
    }
    this._refreshed = Date.now();
    this._path = view.path ?? path;
    // What was told meanwhile may be newer than the answer; told twice it does no harm.
    this.view = since.reduce<IPipeline>((known, fact) => heard(known, fact) ?? known, view);
    if (this.selected && !this.task) {
      this.selected = null;
    }
    if (view.run && view.run.id !== this.output.run) {
      this.output = nothing(view.run.id);
    }
  }

  private async _look(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.lookError = null;
    } catch (error) {
      this.lookError = error;
    }
    if (!this._isDisposed) {
      this._changed.emit();
    }
  }

  private async _carryOut(work: () => Promise<void>): Promise<boolean> {
    this.isBusy = true;
    this.error = null;
    this._changed.emit();
    try {
      await work();
      return true;
    } catch (error) {
      // What is wrong with a field stands at the field.
      this.error = error instanceof Refused ? null : error;
      return false;
    } finally {
      this.isBusy = false;
      if (!this._isDisposed) {
        this._changed.emit();
      }
    }
  }

  private _path = '';
  private _refreshing: Promise<void> | null = null;
  private _isAskedAgain = false;
  private _refreshed = 0;
  private _facts: IFact[] = [];
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _isDisposed = false;
  private _changed = new Signal<this, void>(this);
}

class Refused extends Error {}

export interface IOutputKept {
  run: string;
  chunks: IChunk[];
  next: number;
  /** Whether something that came before is no longer there. */
  lost: boolean;
  standing: Record<string, string>;
}

function nothing(run: string): IOutputKept {
  return { run, chunks: [], next: 0, lost: false, standing: {} };
}

/** What is kept, with what came. */
export function added(kept: IOutputKept, found: IOutput): IOutputKept {
  const chunks = [...kept.chunks, ...found.chunks];
  return {
    run: kept.run,
    chunks: chunks.slice(-KEPT_CHUNKS),
    next: found.next,
    lost: kept.lost || found.lost || chunks.length > KEPT_CHUNKS,
    standing: found.standing
  };
}

/** The pipeline after a fact; null when only the server can say how it stands then. */
export function heard(view: IPipeline, fact: IFact): IPipeline | null {
  if (view.run?.id !== fact.run || fact.kind === 'begun' || fact.kind === 'ended') {
    return null;
  }
  if (fact.kind === 'stopping') {
    return { ...view, run: { ...view.run, is_stopping: view.run.is_running } };
  }
  // An end is looked up, never taken back by what was told before it.
  if (!fact.now || !view.run.is_running) {
    return view;
  }
  return {
    ...view,
    tasks: view.tasks.map(task => (task.name === fact.task ? { ...task, ...fact.now } : task))
  };
}

/** How many tasks are in each state, those that need attention first. */
export function counted(tasks: ITask[]): [ITask['state'], number][] {
  const order: ITask['state'][] = [
    'failed',
    'blocked',
    'running',
    'queued',
    'stopped',
    'stale',
    'waits',
    'new',
    'fresh'
  ];
  return order
    .map(state => [state, tasks.filter(task => task.state === state).length] as [ITask['state'], number])
    .filter(([, count]) => count > 0);
}

/** Why a task is in its state: what failed, or what has changed. */
export function reasonsOf(task: ITask): string[] {
  const isEnded = ['failed', 'blocked', 'stopped'].includes(task.state);
  const ended = isEnded ? task.reason || task.last?.reason : '';
  if (task.state === 'running' || task.state === 'queued') {
    return task.reason ? [task.reason] : [];
  }
  const others = ['fresh', 'new'].includes(task.state)
    ? []
    : task.reasons.filter(reason => !isNews(reason, isEnded));
  return [...(ended ? [ended] : []), ...others];
}

/** A task that failed at its first run has not succeeded yet: its failure says more. */
function isNews(reason: string, isEnded: boolean): boolean {
  return isEnded && reason === 'it has not run yet';
}

export function problemOf(view: IPipeline): IProblem | null {
  return view.problem ?? (view.run && !view.run.is_running ? view.run.error : null);
}
