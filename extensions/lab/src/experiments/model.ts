/** The list of runs: read page by page, kept up to date, and what is wished of it. */

import { Signal, type ISignal } from '@lumino/signaling';
import type { IDisposable } from '@lumino/disposable';

import { doors, type Doors } from './client';
import { chosen, metricNames, parse, sorted, toRun, type IRecordedAs, type IRun, type IWish } from './rows';

/** How many runs a page holds: the first is on screen soon, the others come in larger parts. */
export const FIRST_ROWS = 200;
export const ROWS = 1000;
/** Of more runs than this the newest are listed; a search then asks the server. */
export const MOST_RUNS = 20_000;
export const MOST_COMPARED = 8;

/** What no run is recorded as: when the runs of a notebook are wished for and there is none. */
const NOTHING: IRecordedAs = { notebook: '', tasks: [] };

const WISH: IWish = {
  search: '',
  kind: '',
  status: '',
  of: null,
  sort: 'start',
  metric: '',
  isRising: false
};

export class RunsModel implements IDisposable {
  constructor(
    private readonly _doors: Pick<Doors, 'runs' | 'tasks'> = doors,
    private readonly _mostRuns = MOST_RUNS
  ) {}

  /** Emits when there is something new to draw. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Every run that has been read, by its id. */
  get runs(): ReadonlyMap<string, IRun> {
    return this._runs;
  }

  get wish(): Readonly<IWish> {
    return this._wish;
  }

  /** The runs that are wished for, in order. */
  get shown(): readonly IRun[] {
    this._sorted ??= sorted(this._runs.values(), this._wish, Date.now());
    this._shown ??= chosen(this._sorted, this._wish, this._runs);
    return this._shown;
  }

  get metrics(): readonly string[] {
    this._metrics ??= metricNames(this._runs.values());
    return this._metrics;
  }

  /** The runs that are to be compared, in the order in which they were picked. */
  get picked(): readonly string[] {
    return this._picked;
  }

  /** The file or folder whose project is shown. */
  get path(): string {
    return this._path;
  }

  get experiment(): string {
    return this._experiment;
  }

  get experiments(): readonly string[] {
    return this._experiments;
  }

  /** As what the notebook at hand is recorded; null when there is none. */
  get notebook(): IRecordedAs | null {
    return this._notebook;
  }

  /** Whether only runs of the notebook at hand are wished for. */
  get isOfNotebook(): boolean {
    return this._wish.of !== null;
  }

  get isReading(): boolean {
    return this._isReading;
  }

  /** Whether the store holds more runs than are listed. */
  get isCut(): boolean {
    return this._isCut;
  }

  get error(): unknown {
    return this._error;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    this._isDisposed = true;
    this._abort.abort();
    Signal.clearData(this);
  }

  /** Wish for something else. */
  want(wish: Partial<IWish>): void {
    const before = this._wish;
    this._wish = { ...before, ...wish };
    const { sort, metric, isRising } = this._wish;
    if (
      sort !== before.sort ||
      isRising !== before.isRising ||
      (sort === 'metric' && metric !== before.metric)
    ) {
      this._sorted = null;
    }
    this._tell();
  }

  /** Wish for the runs of the notebook at hand, whichever that will be, or for those of the whole project. */
  wantOfNotebook(isWanted: boolean): void {
    this.want({ of: isWanted ? (this._notebook ?? NOTHING) : null });
  }

  /** Pick a run for comparing, or leave it; more than eight are not taken. Returns whether it was. */
  pick(id: string): boolean {
    if (this._picked.includes(id)) {
      this._picked = this._picked.filter(other => other !== id);
    } else if (this._picked.length < MOST_COMPARED) {
      this._picked = [...this._picked, id];
    } else {
      return false;
    }
    this._changed.emit();
    return true;
  }

  leaveAll(): void {
    this._picked = [];
    this._changed.emit();
  }

  /** Show the project of another file; its runs are read when the file lies in another project, too. */
  async follow(path: string, project: string): Promise<void> {
    const isOther = project !== this._project;
    this._path = path;
    this._project = project;
    await this._learnNotebook(path);
    if (isOther) {
      this._experiment = '';
      await this.read();
    }
  }

  /** Show another experiment ("": those of the project). */
  async choose(experiment: string): Promise<void> {
    this._experiment = experiment;
    await this.read();
  }

  /** Read the whole list anew, page by page. What was on screen stays there until the first page has come. */
  async read(): Promise<void> {
    this._abort.abort();
    const abort = (this._abort = new AbortController());
    this._isReading = true;
    this._changed.emit();
    try {
      await this._readPages(abort.signal);
    } catch (error) {
      if (!abort.signal.aborted) {
        this._error = error;
      }
    } finally {
      if (this._abort === abort) {
        this._isReading = false;
        this._changed.emit();
      }
    }
  }

  /** Take in what has changed since the list was read; an error does not take away what is on screen. */
  async refresh(): Promise<void> {
    if (this._isReading || this._project === null) {
      return;
    }
    if (!this._now) {
      return this.read();
    }
    const { signal } = this._abort;
    try {
      const page = await this._doors.runs(this._path, this._asked({ since: this._now }), signal);
      if (signal.aborted) {
        return;
      }
      if (!page.is_whole) {
        return this.read();
      }
      const hadFailed = this._error !== null;
      this._error = null;
      this._now = page.now;
      if (this._take(page.rows) || hadFailed) {
        this._tell();
      }
    } catch (error) {
      if (!signal.aborted) {
        this._error = error;
        this._changed.emit();
      }
    }
  }

  /** Search the store itself for what is wished: for runs that are not listed, or are known here in part only. */
  async searchStore(): Promise<number> {
    const { kind, status } = this._wish;
    const { words } = parse(this._wish.search);
    const search = words.map(word => `"${word}"`).join(' ');
    const { signal } = this._abort;
    const before = this.shown.length;
    let after = '';
    do {
      const asked = this._asked({ search, kind, status, rows: ROWS, after });
      const page = await this._doors.runs(this._path, asked, signal);
      // What was found by a value that is not known here is to be found by it here, too.
      this._take(page.rows, words.join('\n'));
      after = page.next;
      this._tell();
    } while (after && !signal.aborted && this._runs.size < 2 * this._mostRuns);
    return this.shown.length - before;
  }

  private async _readPages(signal: AbortSignal): Promise<void> {
    let after = '';
    let isFirst = true;
    do {
      const page: Awaited<ReturnType<Doors['runs']>> = await this._doors.runs(
        this._path,
        this._asked({ rows: isFirst ? FIRST_ROWS : ROWS, after }),
        signal
      );
      if (signal.aborted) {
        return;
      }
      if (isFirst) {
        this._runs = new Map();
        this._sent.clear();
        this._now = page.now;
        this._error = null;
        this._experiments = page.experiments ?? this._experiments;
        isFirst = false;
      }
      this._take(page.rows);
      after = page.next;
      this._isCut = !!after;
      this._tell();
    } while (after && this._runs.size < this._mostRuns);
    this._picked = this._picked.filter(id => this._runs.has(id));
  }

  private _asked(asked: Record<string, string | number>): Record<string, string | number> {
    return this._experiment ? { experiment: this._experiment, ...asked } : asked;
  }

  /** Take rows in; returns whether any says something new. */
  private _take(rows: Awaited<ReturnType<Doors['runs']>>['rows'], found = ''): boolean {
    let isNew = false;
    for (const row of rows) {
      const sent = JSON.stringify(row) + found;
      if (this._sent.get(row[0]) !== sent) {
        const run = toRun(row);
        if (found) {
          run.text += `\n${found}`;
        }
        this._sent.set(row[0], sent);
        this._runs.set(run.id, run);
        isNew = true;
      }
    }
    if (isNew) {
      this._sorted = null;
      this._metrics = null;
    }
    return isNew;
  }

  private async _learnNotebook(path: string): Promise<void> {
    let found: IRecordedAs | null = null;
    try {
      found = path.endsWith('.ipynb') ? await this._doors.tasks(path) : null;
    } catch (error) {
      this._error = error;
    }
    if (path === this._path) {
      this._notebook = found?.notebook ? found : null;
      this.wantOfNotebook(this.isOfNotebook);
    }
  }

  private _tell(): void {
    this._shown = null;
    this._changed.emit();
  }

  private _runs = new Map<string, IRun>();
  private _sent = new Map<string, string>();
  private _wish: IWish = WISH;
  private _sorted: IRun[] | null = null;
  private _shown: IRun[] | null = null;
  private _metrics: string[] | null = null;
  private _picked: readonly string[] = [];
  private _path = '';
  private _project: string | null = null;
  private _experiment = '';
  private _experiments: readonly string[] = [];
  private _notebook: IRecordedAs | null = null;
  private _isReading = false;
  private _isCut = false;
  private _now = 0;
  private _error: unknown = null;
  private _abort = new AbortController();
  private _isDisposed = false;
  private _changed = new Signal<this, void>(this);
}
