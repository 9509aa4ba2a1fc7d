/** How one notebook is recorded, what its kernel executed, and which of its cells no longer follow. */

import { Signal, type ISignal } from '@lumino/signaling';
import { Debouncer } from '@lumino/polling';
import type { IDisposable } from '@lumino/disposable';

export const LEVELS = ['off', 'metadata', 'full'] as const;
export type Level = (typeof LEVELS)[number];
export type Outcome = 'running' | 'ok' | 'error' | 'lost' | 'unlogged';
export type State =
  'follows' | 'not run' | 'running' | 'edited' | 'stale' | 'out of order' | 'another life' | 'unknown';

export interface IExecution {
  exec_id: string;
  number: number;
  cell_id: string | null;
  count: number | null;
  started_at: number;
  seconds: number | null;
  outcome: Outcome;
  error: string | null;
}

/** What the server says of the recording of a notebook. */
export interface IRecording {
  path: string;
  session: string | null;
  level: Level;
  is_recording: boolean;
  /** Why nothing is recorded, if so. */
  reason: string | null;
  executions: IExecution[];
  is_cut: boolean;
  waiting: { records: number; reason: string | null };
}

/** What the server tells while cells run: the same, with only the executions that changed. */
export type IFacts = Omit<IRecording, 'waiting'> & { ended: string | null };

export interface IVerdict {
  id: string;
  state: State;
  because: string;
  cause: string | null;
}

export interface IFollowing {
  is_known: boolean;
  reason: string | null;
  session: string | null;
  cells: IVerdict[];
}

/** A cell as it stands in the page now, saved or not. */
export interface ICell {
  id: string;
  kind: string;
  source: string;
  tags: string[];
  count: number | null;
}

/** The server, as the model needs it. */
export interface IServer {
  recording(path: string): Promise<IRecording>;
  switch(path: string, level: Level): Promise<IRecording>;
  following(path: string, cells: ICell[]): Promise<IFollowing>;
}

/** Whether a state needs a mark: the result that is shown is not, or may not be, what the code above gives. */
export function isMarked(state: State): boolean {
  return !['follows', 'not run', 'running'].includes(state);
}

/** The executions, with those that changed in their places; each stands where it began. */
export function merged(before: readonly IExecution[], changed: readonly IExecution[]): IExecution[] {
  const found = new Map(before.map(one => [one.exec_id, one]));
  for (const one of changed) {
    found.set(one.exec_id, one);
  }
  return [...found.values()].sort((a, b) => a.number - b.number);
}

/** A duration as people say it: 3 ms, 2.4 s, 1 min 5 s. */
export function duration(seconds: number | null): string {
  if (seconds === null || !Number.isFinite(seconds) || seconds < 0) {
    return '';
  }
  if (seconds < 1) {
    return `${Math.round(seconds * 1000)} ms`;
  }
  if (seconds < 60) {
    return `${seconds.toFixed(1)} s`;
  }
  const whole = Math.round(seconds);
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const words = parts.map((part, index) => (part ? `${part} ${['h', 'min', 's'][index]}` : ''));
  return words.filter(Boolean).join(' ');
}

/** Which rows of a long list are drawn: from `first` to before `last`. */
export function shownRows(
  count: number,
  scrolled: number,
  height: number,
  rowHeight: number,
  spare = 8
): { first: number; last: number } {
  const first = Math.max(0, Math.min(count, Math.floor(scrolled / rowHeight) - spare));
  const last = Math.min(count, Math.ceil((scrolled + height) / rowHeight) + spare);
  return { first, last: Math.max(first, last) };
}

/** What tells whether the code of a notebook, or its order, is another than before. */
export function keyOf(cells: readonly ICell[]): string {
  return JSON.stringify(cells.map(cell => [cell.id, cell.kind, cell.source, cell.tags]));
}

/** How long edits rest before the server is asked, and how long its news are gathered. */
export const EDIT_MS = 600;
export const NEWS_MS = 120;

/** Of one open notebook. The server's record is the truth; this only shows it. */
export class RecordingModel implements IDisposable {
  constructor(
    private readonly _server: IServer,
    private readonly _path: () => string,
    private readonly _cells: () => ICell[]
  ) {
    this._edits = new Debouncer(() => this._askIfEdited(), EDIT_MS);
    this._news = new Debouncer(() => this.judge(), NEWS_MS);
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** What is recorded; null until the server has answered. */
  get recording(): IRecording | null {
    return this._recording;
  }

  /** What is known of the cells; null until the server has answered. */
  get following(): IFollowing | null {
    return this._following;
  }

  get error(): unknown {
    return this._error;
  }

  get path(): string {
    return this._path();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** The cells with a mark, in the notebook's order. */
  get marked(): IVerdict[] {
    return this._following?.is_known ? this._following.cells.filter(one => isMarked(one.state)) : [];
  }

  /** Whether anything has run in this life of the kernel. */
  get hasRun(): boolean {
    return !!this._recording?.executions.length;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      this._edits.dispose();
      this._news.dispose();
      Signal.clearData(this);
    }
  }

  /** Ask for everything anew. */
  async refresh(): Promise<void> {
    const path = this._path();
    await this._try(async () => {
      const found = await this._server.recording(path);
      if (path === this._path()) {
        this._recording = found;
      }
    });
    await this.judge();
  }

  /** Ask which cells follow, as they stand now. */
  async judge(): Promise<void> {
    const [path, cells] = [this._path(), this._cells()];
    if (!path || this._isDisposed) {
      return;
    }
    const asked = ++this._asked;
    this._key = keyOf(cells);
    await this._try(async () => {
      const found = await this._server.following(path, cells);
      // What was asked later is answered, too; an answer to an older question must not stay.
      if (asked === this._asked) {
        this._following = found;
      }
    });
  }

  /** Record in this way from now on. */
  async switchTo(level: Level): Promise<void> {
    const path = this._path();
    await this._try(async () => {
      this._recording = await this._server.switch(path, level);
    });
    await this.judge();
  }

  /** Take in what the server tells every page. */
  hear(facts: IFacts): void {
    if (facts.path !== this._path() || this._isDisposed) {
      return;
    }
    const before = this._recording;
    if (facts.ended !== null || facts.is_cut || !before || before.session !== facts.session) {
      // Another life of the kernel, or more than could be told: the list is asked for as a whole.
      void this.refresh();
      return;
    }
    const executions = merged(before.executions, facts.executions);
    this._recording = { ...before, ...facts, executions, waiting: before.waiting };
    this._changed.emit();
    void this._news.invoke();
  }

  /** The notebook was edited. */
  edited(): void {
    if (!this._isDisposed) {
      void this._edits.invoke();
    }
  }

  private async _askIfEdited(): Promise<void> {
    // Outputs change the notebook's content, too, and are no edit.
    if (keyOf(this._cells()) !== this._key) {
      await this.judge();
    }
  }

  private async _try(act: () => Promise<void>): Promise<void> {
    try {
      await act();
      this._error = null;
    } catch (error) {
      this._error = error;
    }
    if (!this._isDisposed) {
      this._changed.emit();
    }
  }

  private readonly _edits: Debouncer;
  private readonly _news: Debouncer;
  private _recording: IRecording | null = null;
  private _following: IFollowing | null = null;
  private _error: unknown = null;
  private _asked = 0;
  private _key = '';
  private _isDisposed = false;
  private _changed = new Signal<this, void>(this);
}
