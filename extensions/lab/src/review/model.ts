/** The review of one notebook, as the server tells it: how it stands, what the checks find, what has changed. */

import { Signal, type ISignal } from '@lumino/signaling';

import type { IRequest } from '../request';

export type State =
  'approved' | 'approved with conditions' | 'rejected' | 'requested' | 'ended' | 'never asked';
export type Verdict = 'passed' | 'failed' | 'not evaluated';

export interface IFinding {
  message: string;
  cell: string | null;
  number: number | null;
  line: number | null;
}

export interface ICheck {
  code: string;
  name: string;
  sentence: string;
  hint: string;
  severity: 'error' | 'warning' | 'note';
  verdict: Verdict;
  reason: string;
  findings: IFinding[];
}

export interface ICondition {
  text: string;
  due: string | null;
}

export interface IDecision {
  decision: string;
  reviewer: string;
  at: string;
  expires: string | null;
  comment: string;
  conditions: ICondition[];
  counts: boolean;
  problem: string;
}

/** Somebody, or why nobody. */
export interface IWho {
  name: string;
  reason: string;
  hint: string;
}

export interface IStanding {
  notebook: string;
  state: State;
  approved: boolean;
  sentence: string;
  digest: string | null;
  bound: string | null;
  subjects: { kind: string; name: string; digest: string }[];
  absent: string[];
  parameters: Record<string, unknown>;
  changes: { kind: string; name: string; words: string }[];
  decisions: IDecision[];
  last: IDecision | null;
  asked: { by: string; at: string; comment: string } | null;
  missing: string[];
  checks: ICheck[];
  checking: boolean;
  /** The package that it was exported to. */
  package: string | null;
  asker: IWho;
  signer: IWho;
}

export interface ICellChange {
  fate: string;
  id: string;
  kind: string;
  before: number | null;
  after: number | null;
  lines: string[];
  words: string;
}

export interface IDifference {
  same: boolean;
  cells: ICellChange[];
  parameters: { name: string; before: string; after: string }[];
  metrics: { name: string; before: string; after: string }[];
  outputs: string[];
  things: string[];
}

export interface IFact {
  path: string;
  doing: string;
  done?: boolean;
  problem?: string;
}

export type Ask = <T>(path: string, options?: IRequest) => Promise<T>;

/** What may be done now. */
export interface IMay {
  check: boolean;
  ask: boolean;
  decide: boolean;
  export: boolean;
  submit: boolean;
}

export class ReviewModel {
  constructor(private readonly _ask: Ask) {}

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  path = '';
  isDirty = false;
  isBusy = false;
  standing: IStanding | null = null;
  difference: IDifference | null = null;
  since: string | null = null;
  error: unknown = null;
  /** What is being done while the notebook is run for its review. */
  doing = '';
  /** Why the last run for the review gave nothing. */
  problem = '';
  /** The job that was submitted last. */
  job = '';

  /** Look at another notebook, or at none. */
  async show(path: string, isDirty: boolean): Promise<void> {
    if (path === this.path) {
      this.setDirty(isDirty);
      return;
    }
    this.path = path;
    this.isDirty = isDirty;
    this.standing = this.difference = this.since = null;
    this.error = null;
    this.doing = this.problem = this.job = '';
    await this.refresh();
  }

  /** Note that what is shown is not what is saved, or is again. */
  setDirty(isDirty: boolean): void {
    if (isDirty !== this.isDirty) {
      this.isDirty = isDirty;
      this._changed.emit();
    }
  }

  /** Ask how the saved notebook stands; the answer to an older question is dropped. */
  async refresh(): Promise<void> {
    await this._do(() => this._ask<IStanding>('review', { arguments: { path: this.path } }));
  }

  get may(): IMay {
    const found = this.standing;
    const isReady = !!found?.bound && !this.isDirty && !this.isBusy;
    const failed = (found?.checks ?? []).some(
      one => one.verdict === 'failed' && one.severity === 'error' && !one.code.startsWith('NBP1')
    );
    return {
      check: isReady && !this.isChecking,
      ask: isReady && !!found?.asker.name && !failed && found?.state !== 'requested' && !found?.approved,
      decide: isReady && !!found?.signer.name && (!!found?.asked || !!found?.approved),
      export: isReady && !this.isChecking && !!found?.approved,
      submit: isReady && !!found?.package
    };
  }

  get isChecking(): boolean {
    return this.doing !== '' || !!this.standing?.checking;
  }

  /** Run the notebook for its review, or to export it; the server tells how it goes. */
  async begin(door: 'check' | 'export'): Promise<void> {
    this.problem = '';
    this.doing = 'start';
    this._changed.emit();
    try {
      await this._ask(`review/${door}`, { body: { path: this.path } });
    } catch (error) {
      this.doing = '';
      this.error = error;
      this._changed.emit();
    }
  }

  /** Submit the package to a target. */
  async submit(target: string): Promise<void> {
    this.problem = this.job = '';
    try {
      this.job = (await this._ask<{ id: string }>('review/submit', { body: { path: this.path, target } })).id;
    } catch (error) {
      this.problem = (error as Error).message;
    }
    this._changed.emit();
  }

  async request(comment: string): Promise<void> {
    await this._decide('request', { comment });
  }

  async approve(conditions: ICondition[], comment: string): Promise<void> {
    await this._decide('approve', { conditions, comment });
  }

  async reject(comment: string): Promise<void> {
    await this._decide('reject', { comment });
  }

  /** Take in what the server tells while the notebook is run. */
  hear(fact: IFact): void {
    if (fact.path !== this.path) {
      return;
    }
    this.doing = fact.done ? '' : fact.doing;
    if (fact.done) {
      this.problem = fact.problem ?? '';
      void this.refresh();
    } else {
      this._changed.emit();
    }
  }

  /** What was seen goes along: the server signs that, or refuses. */
  private async _decide(door: string, more: object): Promise<void> {
    const bound = this.standing?.bound;
    if (!bound || this.isDirty) {
      return;
    }
    const body = { path: this.path, bound, ...more };
    await this._do(() => this._ask<IStanding>(`review/${door}`, { body }));
  }

  private async _do(ask: () => Promise<IStanding>): Promise<void> {
    const number = ++this._asked;
    if (!this.path) {
      this.isBusy = false;
      this._changed.emit();
      return;
    }
    this.isBusy = true;
    this._changed.emit();
    try {
      const standing = await ask();
      const told =
        standing.last === null
          ? { difference: null, since: null }
          : await this._ask<{ difference: IDifference | null; since: string | null }>('review/diff', {
              arguments: { path: this.path }
            });
      if (number === this._asked) {
        this.standing = standing;
        this.difference = told.difference;
        this.since = told.since;
        this.error = null;
      }
    } catch (error) {
      if (number === this._asked) {
        // What is shown could be what is no more.
        this.error = error;
      }
    }
    if (number === this._asked) {
      this.isBusy = false;
      this._changed.emit();
    }
  }

  private _asked = 0;
  private _changed = new Signal<this, void>(this);
}

/** Conditions as they are typed: one a line, perhaps with a date at its end (“watch the drift @2027-01-31”). */
export function conditionsIn(text: string): ICondition[] {
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line)
    .map(line => {
      const found = /^(.*\S)\s*@\s*(\d{4}-\d\d-\d\d)$/.exec(line);
      return found ? { text: found[1], due: found[2] } : { text: line, due: null };
    });
}

/** What weighs most comes first; what passed comes last. */
export function inOrder(checks: ICheck[]): ICheck[] {
  const weight = (check: ICheck): number =>
    check.verdict === 'passed'
      ? 4
      : check.verdict === 'not evaluated'
        ? 3
        : ['error', 'warning', 'note'].indexOf(check.severity);
  return [...checks].sort((one, other) => weight(one) - weight(other));
}

/** The sign in front of a line of a difference, and its text: never colour alone. */
export function marked(line: string): { mark: '+' | '−' | ' '; text: string } {
  const mark = line[0] === '+' ? '+' : line[0] === '-' ? '−' : ' ';
  return { mark, text: line.slice(2) };
}
