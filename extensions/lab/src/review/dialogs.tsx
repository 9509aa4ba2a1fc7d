/** The questions before something is signed: they show what is bound, and ask for words. */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import { h, Fragment } from '../h';

import { conditionsIn, type ICondition, type IStanding } from './model';
import { Bound } from './panel';

export interface IAnswer {
  conditions: ICondition[];
  comment: string;
}

class Question extends ReactWidget implements Dialog.IBodyWidget<IAnswer> {
  constructor(
    private readonly _standing: IStanding,
    private readonly _trans: TranslationBundle,
    private readonly _sentence: string,
    private readonly _hasConditions: boolean
  ) {
    super();
    this.addClass('nbp-Review-question');
  }

  getValue(): IAnswer {
    return { conditions: conditionsIn(this._conditions), comment: this._comment.trim() };
  }

  render(): JSX.Element {
    const trans = this._trans;
    return (
      <>
        <p>{this._sentence}</p>
        <p>
          {trans.__('Digest')} <code>{this._standing.digest}</code>
        </p>
        <Bound standing={this._standing} trans={trans} />
        {this._hasConditions && (
          <label>
            {trans.__('Conditions, one a line, perhaps with a date (“watch the drift @2027-01-31”)')}
            <textarea rows={3} onChange={event => (this._conditions = event.target.value)} />
          </label>
        )}
        <label>
          {trans.__('Remark')}
          <textarea rows={2} onChange={event => (this._comment = event.target.value)} />
        </label>
      </>
    );
  }

  private _conditions = '';
  private _comment = '';
}

/** How something is asked. */
export interface IQuestion {
  title: string;
  sentence: string;
  accept: string;
  hasConditions?: boolean;
  isWarning?: boolean;
}

/** Ask; null when it was called off. */
export async function question(
  standing: IStanding,
  trans: TranslationBundle,
  asked: IQuestion
): Promise<IAnswer | null> {
  const make = asked.isWarning ? Dialog.warnButton : Dialog.okButton;
  const answer = await showDialog<IAnswer>({
    title: asked.title,
    body: new Question(standing, trans, asked.sentence, asked.hasConditions ?? false),
    buttons: [Dialog.cancelButton(), make({ label: asked.accept })],
    // A key pressed too often must not sign.
    defaultButton: 0
  });
  return answer.button.accept ? (answer.value ?? null) : null;
}
