/** What the Explain panel knows and does: what lives in the kernel, what is chosen, what runs, and what came of it. */

import type { Kernel } from '@jupyterlab/services';
import type { JSONObject } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import { Signal, type ISignal } from '@lumino/signaling';

import { lines, read, type IBundle, type ILine } from '../mime/explanation';
import { likeliest } from '../mime/story';
import { START, type IChoice as IView } from '../mime/view';
import { RequestError } from '../request';
import type { IAgent, IAsked } from './kernel';

export interface IFoundModel {
  name: string;
  kind: string;
  library: string;
  features: number | null;
  classes: string[];
  units: string[];
  /** Whether it knows what its features are called. */
  is_named: boolean;
  /** Why it cannot be explained as it is; empty otherwise. */
  problem: string;
}

export interface IFoundTable {
  name: string;
  kind: string;
  rows: number;
  width: number;
  columns: string[];
  /** By the names of the models that take it: as it stands, or a part of its columns. */
  fits: Record<string, 'all' | 'part'>;
}

export interface IFound {
  models: IFoundModel[];
  tables: IFoundTable[];
}

export interface IChosen {
  model: string;
  table: string;
  background: string;
  row: number;
  /** How many rows are looked at as a whole. */
  rows: number;
  unit: string | null;
  method: string | null;
}

export interface IOptions {
  units: string[];
  unit: string;
  methods: string[];
}

export interface IField {
  name: string;
  unit: string;
  kind: 'number' | 'whole' | 'mark' | 'category';
  value: number | null;
  categories: string[];
  low: number | null;
  high: number | null;
}

/** An edited value: of a category its number, null for a missing one. */
export type Edit = number | boolean | null;

/** An explanation on the screen, with the code that makes the same. */
export interface IShown {
  bundle: IBundle;
  code: string;
  fields: IField[];
  outside: string[];
  /** Why LIME says nothing of it; empty where it does. */
  silent: string;
  seconds: number;
  isJudging: boolean;
}

export interface IPreview {
  start: number;
  total: number;
  columns: string[];
  cells: string[][];
}

export interface IEstimated {
  value: number | null;
  low: number | null;
  high: number | null;
  reason: string;
}

export interface ISlices {
  column: string;
  features: string[];
  unit: string;
  slices: { group: string; rows: number; is_enough: boolean; answer: IEstimated; importance: IEstimated[] }[];
}

export interface IProgress {
  method: string;
  done: number;
  total: number;
  remaining_s: number | null;
}

export type Tab = 'row' | 'all' | 'slices';

/** What runs in the kernel for the panel. */
export interface IRun {
  kind: 'look' | 'estimate' | 'row' | 'all' | 'edit' | 'slices';
  progress: IProgress | null;
}

export interface ISettings {
  /** A run that is expected to take longer than this asks first. */
  askFromS: number;
  /** How many rows are looked at as a whole at first. */
  rows: number;
  seed: number;
}

export const DEFAULTS: ISettings = { askFromS: 2, rows: 200, seed: 0 };
/** How long an edit waits for the next one, and how long a kernel may take before it is called busy. */
export const PAUSE_MS = 300;
export const BUSY_MS = 800;

/** Choices that fit what was found, as near to the ones before as can be. */
export function chosen(found: IFound, before: IChosen | null, settings: ISettings): IChosen | null {
  const able = found.models.filter(each => !each.problem);
  const model =
    able.find(each => each.name === before?.model) ??
    able.find(each => tablesFor(found, each.name).length > 0) ??
    able[0];
  if (!model) {
    return null;
  }
  const tables = tablesFor(found, model.name);
  const table = tables.find(each => each.name === before?.table) ?? tables[0];
  if (!table) {
    return null;
  }
  const comparable = backgroundsFor(found, model, table);
  const others = comparable.filter(each => each !== table).sort((one, other) => other.rows - one.rows);
  const background = comparable.find(each => each.name === before?.background && before.table === table.name);
  return {
    model: model.name,
    table: table.name,
    // The largest other table tells most of how values are spread; alone a table is compared with itself.
    background: (background ?? others.find(each => each.rows > table.rows) ?? table).name,
    row: Math.min(before?.row ?? 0, table.rows - 1),
    rows: Math.min(before?.rows ?? settings.rows, table.rows),
    unit: before?.model === model.name ? before.unit : null,
    method: before?.model === model.name ? before.method : null
  };
}

/** The tables that a model takes. */
export function tablesFor(found: IFound, model: string): IFoundTable[] {
  return found.tables.filter(each => Object.prototype.hasOwnProperty.call(each.fits, model));
}

/** The tables that rows of a table can be compared with: of the same columns, and of the same kind. */
export function backgroundsFor(found: IFound, model: IFoundModel, table: IFoundTable): IFoundTable[] {
  const isAlike = (each: IFoundTable): boolean =>
    each.columns.length > 0 === table.columns.length > 0 &&
    (model.is_named || (each.width === table.width && each.columns.join('\n') === table.columns.join('\n')));
  return tablesFor(found, model.name).filter(isAlike);
}

export class ExplainModel implements IDisposable {
  constructor(private readonly _open: (kernel: Kernel.IKernelConnection) => Promise<IAgent>) {}

  /** Emits whenever something that is shown has changed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  settings: ISettings = DEFAULTS;
  /** The notebook that is looked at, by its path; empty when there is none. */
  notebook = '';
  found: IFound | null = null;
  choice: IChosen | null = null;
  options: IOptions | null = null;
  preview: IPreview | null = null;
  tab: Tab = 'row';
  view: IView = START;
  run: IRun | null = null;
  /** A run that would take long, and waits for a word. */
  estimate: { seconds: number; rows: number } | null = null;
  isWaiting = false;
  isOnSubshell = false;
  error: unknown = null;
  row: IShown | null = null;
  edited: IShown | null = null;
  edits = new Map<string, Edit>();
  /** Whether an edit is not followed yet, so that what is shown is of the row before it. */
  isBehind = false;
  all: IShown | null = null;
  slices: ISlices | null = null;

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  get hasKernel(): boolean {
    return this._kernel !== null;
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      this._leave();
      Signal.clearData(this);
    }
  }

  /** Follow another kernel. Nothing is asked of it before someone looks. */
  setKernel(kernel: Kernel.IKernelConnection | null, notebook: string): void {
    this.notebook = notebook;
    if (kernel?.id === this._kernel?.id && kernel?.clientId === this._kernel?.clientId) {
      this._changed.emit();
      return;
    }
    this._leave();
    this._kernel = kernel;
    this._forget();
    this._changed.emit();
  }

  /** Look what lives in the kernel. */
  async look(): Promise<void> {
    const kernel = this._kernel;
    if (!kernel) {
      return;
    }
    await this._running('look', async token => {
      if (!this._agent) {
        const agent = await this._patiently(this._open(kernel));
        if (this._kernel !== kernel || this._isDisposed) {
          agent.dispose();
          return;
        }
        this._agent = agent;
        this.isOnSubshell = agent.isOnSubshell;
        agent.ended.connect(this._onEnded, this);
      }
      const found = (await this._asking('look', {}, token)) as IFound;
      this.found = found;
      this.choice = chosen(found, this.choice, this.settings);
      this._clear();
      void this._learn();
      // What explaining needs is imported while the choice is made; whether it is there is said when it is needed.
      this._agent.ask('prepare', {}).done.catch(() => undefined);
    });
  }

  /** Choose something else; what was explained before is not shown any longer. */
  choose(part: Partial<IChosen>): void {
    if (!this.choice || !this.found) {
      return;
    }
    const isOther = part.model !== undefined || part.table !== undefined;
    const next = { ...this.choice, ...part };
    this.cancel();
    this.choice = isOther
      ? chosen(this.found, { ...next, unit: part.model ? null : next.unit }, this.settings)
      : next;
    this._clear(part.row === undefined || Object.keys(part).length > 1);
    if (isOther) {
      void this._learn();
    }
    this._changed.emit();
  }

  show(part: Partial<IView>): void {
    this.view = { ...this.view, ...part };
    this._changed.emit();
  }

  open(tab: Tab): void {
    this.tab = tab;
    this._changed.emit();
  }

  /** Rows of the table, from one on, to be picked from. */
  async turnTo(start: number): Promise<void> {
    const table = this.choice?.table;
    if (!this._agent || table === undefined) {
      return;
    }
    try {
      const found = (await this._agent.ask('rows', { table, start }).done) as IPreview;
      if (this.choice?.table === table) {
        this.preview = found;
      }
    } catch (error) {
      this.error = error;
    }
    this._changed.emit();
  }

  /** Explain the chosen row. */
  async explainRow(): Promise<void> {
    this.edits.clear();
    this.edited = null;
    await this._explain('row');
  }

  /** Explain the model over many rows; a long run waits for `proceed`. */
  async explainAll(): Promise<void> {
    const asked = this._asked('all');
    if (!asked) {
      return;
    }
    let isShort = false;
    await this._running('estimate', async token => {
      const found = (await this._asking('estimate', asked, token)) as { seconds: number; rows: number };
      isShort = found.seconds <= this.settings.askFromS;
      this.estimate = isShort ? null : { seconds: found.seconds, rows: found.rows };
    });
    if (isShort) {
      await this._explain('all');
    }
  }

  /** Begin the run that waits for a word. */
  async proceed(): Promise<void> {
    this.estimate = null;
    await this._explain('all');
  }

  /** Leave the run that waits for a word. */
  decline(): void {
    this.estimate = null;
    this._changed.emit();
  }

  /** Change a value of the row; prediction and both explanations follow once there is a pause. */
  edit(name: string, value: Edit): void {
    this.edits.set(name, value);
    const original = this.row?.fields.find(each => each.name === name);
    if (
      original &&
      (original.kind === 'mark' ? Boolean(original.value) === value : original.value === value)
    ) {
      this.edits.delete(name);
    }
    this.isBehind = true;
    this._changed.emit();
    clearTimeout(this._pause);
    this._pause = setTimeout(() => void this._follow(), PAUSE_MS);
  }

  /** The row as it is in the table. */
  reset(): void {
    clearTimeout(this._pause);
    this.cancel();
    this.edits.clear();
    this.edited = null;
    this.isBehind = false;
    this.error = null;
    this._changed.emit();
  }

  /** Cut the last explanation of many rows by a column. */
  async cut(column: string): Promise<void> {
    const output = this.view.output;
    await this._running('slices', async token => {
      this.slices = (await this._asking('slices', { column, output }, token)) as ISlices;
    });
  }

  /** Cancel what runs. */
  cancel(): void {
    this._current?.cancel();
    this._current = null;
    this._token++;
    this.run = null;
    this.isWaiting = false;
    this._changed.emit();
  }

  /** What is on the screen now. */
  get shown(): IShown | null {
    if (this.tab !== 'row') {
      return this.all;
    }
    // An edit that was refused has no picture; that of the row before it must not be taken for it.
    return this.edits.size && this.error ? null : (this.edited ?? this.row);
  }

  private async _follow(): Promise<void> {
    if (this.edits.size) {
      await this._explain('edit');
    } else {
      this.reset();
    }
  }

  private async _explain(kind: 'row' | 'all' | 'edit'): Promise<void> {
    const asked = this._asked(kind);
    if (!asked) {
      return;
    }
    await this._running(kind, async token => {
      let shown: IShown | null = null;
      const place = ({ row: 'row', all: 'all', edit: 'edited' } as const)[kind];
      if (kind !== 'edit') {
        this[place] = null;
        this.isBehind = false;
        this.slices = kind === 'all' ? null : this.slices;
      }
      const last = (await this._asking('explain', asked, token, content => {
        shown = shownOf(content, kind !== 'edit');
        this[place] = shown;
        this.run = null;
        if (kind === 'edit') {
          this.isBehind = false;
        } else if (this.view.output === null && shown.bundle.explanations[0].values.length) {
          // It stays, so that an edit does not show another class than before.
          this.view = { ...this.view, output: likeliest(shown.bundle.explanations[0]) };
        }
      })) as { lines?: unknown };
      const added: ILine[] = lines(last.lines ?? []);
      if (shown !== null && this[place] === shown) {
        const first: IShown = shown;
        this[place] = {
          ...first,
          isJudging: false,
          bundle: { ...first.bundle, lines: [...first.bundle.lines, ...added] }
        };
      }
    });
    // What was cancelled while it was judged stays, and says that it was not.
    for (const place of ['row', 'all', 'edited'] as const) {
      const held = this[place];
      if (held?.isJudging && !this._current) {
        this[place] = { ...held, isJudging: false };
      }
    }
    this._changed.emit();
  }

  private _asked(kind: 'row' | 'all' | 'edit'): JSONObject | null {
    const choice = this.choice;
    if (!choice) {
      return null;
    }
    const { model, table, background, unit, method } = choice;
    const asked: JSONObject = { model, table, background, unit, method, seed: this.settings.seed };
    if (kind === 'all') {
      return { ...asked, rows: choice.rows };
    }
    const edits = kind === 'edit' ? Object.fromEntries(this.edits) : {};
    return { ...asked, row: choice.row, edits, is_brief: kind === 'edit' };
  }

  private async _learn(): Promise<void> {
    const choice = this.choice;
    this.options = null;
    this.preview = null;
    if (!this._agent || !choice) {
      return;
    }
    void this.turnTo(0);
    try {
      const { model, table, background } = choice;
      const found = (await this._agent.ask('options', { model, table, background }).done) as IOptions;
      if (this.choice?.model === model && this.choice.table === table) {
        this.options = found;
      }
    } catch (error) {
      if (this.choice === choice) {
        this.error = error;
      }
    }
    this._changed.emit();
  }

  /** Run one thing at a time: what ran before is cancelled, and what comes of it is not shown. */
  private async _running(kind: IRun['kind'], work: (token: number) => Promise<void>): Promise<void> {
    this.cancel();
    const token = this._token;
    this.run = { kind, progress: null };
    this.estimate = null;
    this.error = null;
    this._changed.emit();
    try {
      await work(token);
    } catch (error) {
      if (token === this._token && (error as Error).name !== 'Cancelled') {
        this.error = error;
      }
    }
    if (token === this._token) {
      this.run = null;
      this.isWaiting = false;
      this._current = null;
      this._changed.emit();
    }
  }

  private async _asking(
    name: string,
    given: JSONObject,
    token: number,
    onAnswer?: (content: unknown) => void
  ): Promise<unknown> {
    if (!this._agent) {
      throw new RequestError(0, 'nothing has been looked for in this kernel', 'press Look');
    }
    const isCurrent = (): boolean => token === this._token;
    let taken = (): void => undefined;
    const isTaken = new Promise<void>(resolve => (taken = resolve));
    let failed: unknown = null;
    const asked = this._agent.ask(name, given, {
      onTaken: taken,
      onProgress: content => {
        if (isCurrent() && this.run) {
          this.run = { ...this.run, progress: content as IProgress };
          this._changed.emit();
        }
      },
      onAnswer: content => {
        if (!isCurrent()) {
          return;
        }
        try {
          onAnswer?.(content);
        } catch (error) {
          failed = error;
        }
        this._changed.emit();
      }
    });
    this._current = asked;
    void this._patiently(Promise.race([isTaken, asked.done.catch(() => undefined)]), isCurrent);
    const found = await asked.done;
    if (failed) {
      throw failed;
    }
    if (!isCurrent()) {
      throw Object.assign(new Error('cancelled'), { name: 'Cancelled' });
    }
    return found;
  }

  /** Say that the kernel is busy while it lets something wait. */
  private async _patiently<T>(promise: Promise<T>, isCurrent: () => boolean = () => true): Promise<T> {
    const say = (isWaiting: boolean): void => {
      if (isCurrent() && this.isWaiting !== isWaiting) {
        this.isWaiting = isWaiting;
        this._changed.emit();
      }
    };
    const timer = setTimeout(() => say(true), BUSY_MS);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      say(false);
    }
  }

  private _clear(isAll = true): void {
    clearTimeout(this._pause);
    this.error = null;
    this.estimate = null;
    this.row = null;
    this.edited = null;
    this.edits.clear();
    this.isBehind = false;
    if (isAll) {
      this.all = null;
      this.slices = null;
      this.view = START;
    }
  }

  private _forget(): void {
    this.found = null;
    this.choice = null;
    this.options = null;
    this.preview = null;
    this._clear();
  }

  private _leave(): void {
    clearTimeout(this._pause);
    this.cancel();
    this._agent?.ended.disconnect(this._onEnded, this);
    this._agent?.dispose();
    this._agent = null;
  }

  private _onEnded(): void {
    this._agent = null;
    this._token++;
    this.run = null;
    this._forget();
    this.error = new RequestError(0, 'the kernel has gone, and with it what lived there', 'look again');
    this._changed.emit();
  }

  private _kernel: Kernel.IKernelConnection | null = null;
  private _agent: IAgent | null = null;
  private _current: IAsked | null = null;
  private _token = 0;
  private _pause: ReturnType<typeof setTimeout> | undefined;
  private _isDisposed = false;
  private _changed = new Signal<this, void>(this);
}

/** An answer of the kernel as it is shown. Raises `Unreadable`: a kernel may run anything. */
export function shownOf(content: unknown, isJudging: boolean): IShown {
  const told = content as Record<string, unknown>;
  const bundle = read(told.bundle);
  return {
    bundle: { ...bundle, lines: lines(told.lines ?? []) },
    code: String(told.code ?? ''),
    fields: Array.isArray(told.fields) ? (told.fields as IField[]) : [],
    outside: Array.isArray(told.outside) ? told.outside.map(String) : [],
    silent: String(told.silent ?? ''),
    seconds: Number(told.seconds),
    isJudging
  };
}
