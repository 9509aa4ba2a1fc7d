/** What the review panel shows; everything that comes from a notebook is shown as text. */

import type { TranslationBundle } from '@jupyterlab/translation';
import { UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';
import { Button } from '../button';
import { h, Fragment } from '../h';
import { Part } from '../parts';

import { Banner, Failure, Quiet } from '../notice';
import {
  inOrder,
  marked,
  type ICellChange,
  type ICheck,
  type IDecision,
  type IDifference,
  type IFinding,
  type IStanding,
  type ReviewModel,
  type State
} from './model';

const MOST_LINES = 400;
const MOST_FINDINGS = 50;
const LONGEST = 2000;

export interface IActions {
  goTo: (finding: { cell: string | null; number: number | null }) => void;
  save: () => void;
  ask: () => void;
  approve: () => void;
  reject: () => void;
  submit: () => void;
}

interface IProps {
  model: ReviewModel;
  trans: TranslationBundle;
  actions: IActions;
}

export function ReviewPanel(props: IProps): JSX.Element {
  return <UseSignal signal={props.model.changed}>{() => <Content {...props} />}</UseSignal>;
}

function Content(props: IProps): JSX.Element {
  const { model, trans, actions } = props;
  const found = model.standing;
  if (!model.path) {
    return <Quiet>{trans.__('Open a notebook to see its review.')}</Quiet>;
  }
  return (
    <div className="nbp-Review" aria-busy={model.isBusy}>
      <h2 className="nbp-Review-title">{model.path}</h2>
      {model.isDirty && (
        <Banner kind="warning" label={trans.__('Not saved.')}>
          {trans.__('What is reviewed is what lies on the disk.')}{' '}
          <Button onClick={actions.save}>{trans.__('Save')}</Button>
        </Banner>
      )}
      {model.error !== null && <Failure error={model.error} />}
      {!found && model.error === null && <Quiet>{trans.__('Asking the server…')}</Quiet>}
      {found && model.error === null && (
        <>
          <Standing standing={found} trans={trans} />
          <Actions {...props} standing={found} />
          {model.difference && (
            <Difference difference={model.difference} since={model.since} trans={trans} goTo={actions.goTo} />
          )}
          <Checks {...props} standing={found} />
          <Bound standing={found} trans={trans} />
        </>
      )}
    </div>
  );
}

function stateWords(state: State, trans: TranslationBundle): string {
  const words: Record<State, string> = {
    approved: trans.__('Approved'),
    'approved with conditions': trans.__('Approved with conditions'),
    rejected: trans.__('Rejected'),
    requested: trans.__('Review requested'),
    ended: trans.__('Approval ended'),
    'never asked': trans.__('Never reviewed')
  };
  return words[state] ?? String(state);
}

const KINDS: Record<State, 'note' | 'warning' | 'error'> = {
  approved: 'note',
  'approved with conditions': 'note',
  rejected: 'error',
  requested: 'note',
  ended: 'warning',
  'never asked': 'note'
};

function Standing(props: { standing: IStanding; trans: TranslationBundle }): JSX.Element {
  const { standing, trans } = props;
  return (
    <section aria-label={trans.__('State')}>
      <div
        className={`nbp-Banner nbp-mod-${KINDS[standing.state]}`}
        role="status"
        data-state={standing.state}
      >
        <strong>{stateWords(standing.state, trans)}</strong>
        <p>{standing.sentence.slice(0, LONGEST)}</p>
      </div>
      {standing.changes.length > 0 && (
        <ul className="nbp-Review-list">
          {standing.changes.slice(0, MOST_FINDINGS).map(change => (
            <li key={`${change.kind} ${change.name}`}>{change.words.slice(0, LONGEST)}</li>
          ))}
        </ul>
      )}
      {standing.decisions.map(decision => (
        <Decision key={`${decision.at} ${decision.reviewer}`} decision={decision} trans={trans} />
      ))}
    </section>
  );
}

function Decision(props: { decision: IDecision; trans: TranslationBundle }): JSX.Element {
  const { decision, trans } = props;
  const due = (date: string | null): string => (date ? trans.__(' (until %1)', date) : '');
  return (
    <div>
      <p>
        {trans.__('%1: %2, %3', decision.reviewer, decision.decision, decision.at)}
        {decision.expires && trans.__('; ends %1', decision.expires)}
      </p>
      {decision.problem && <p>{trans.__('Does not count: %1', decision.problem)}</p>}
      {decision.comment && <p>{decision.comment.slice(0, LONGEST)}</p>}
      {decision.conditions.length > 0 && (
        <ul className="nbp-Review-list">
          {decision.conditions.map((held, number) => (
            <li key={number}>{held.text.slice(0, LONGEST) + due(held.due)}</li>
          ))}
        </ul>
      )}
    </div>
  );
}

function Actions(props: IProps & { standing: IStanding }): JSX.Element {
  const { model, trans, actions, standing } = props;
  const { may } = model;
  return (
    <section aria-label={trans.__('Actions')}>
      <div className="nbp-Buttons">
        <Action label={trans.__('Check')} isOn={may.check} act={() => void model.begin('check')} />
        <Action label={trans.__('Request review…')} isOn={may.ask} act={actions.ask} />
        <Action label={trans.__('Approve…')} isOn={may.decide} act={actions.approve} />
        <Action label={trans.__('Reject…')} isOn={may.decide} act={actions.reject} />
        <Action label={trans.__('Export')} isOn={may.export} act={() => void model.begin('export')} />
        <Action label={trans.__('Submit…')} isOn={may.submit} act={actions.submit} />
        <Action label={trans.__('Refresh')} isOn={!model.isBusy} act={() => void model.refresh()} />
      </div>
      {model.isChecking && <Quiet>{trans.__('Runs: %1', model.doing)}</Quiet>}
      {model.job && <Quiet>{trans.__('Submitted as %1', model.job)}</Quiet>}
      {model.problem && (
        <Banner kind="warning" label={trans.__('It came to nothing.')}>
          {model.problem.slice(0, LONGEST)}
        </Banner>
      )}
      {standing.signer.name ? (
        <Quiet>{trans.__('Decisions are signed here as %1.', standing.signer.name)}</Quiet>
      ) : (
        <Quiet>
          {trans.__('Nobody can decide here: %1', standing.signer.reason.slice(0, LONGEST))}{' '}
          {standing.signer.hint.slice(0, LONGEST)}
        </Quiet>
      )}
      {!standing.asker.name && (
        <Quiet>
          {trans.__('Nobody can ask here: %1', standing.asker.reason.slice(0, LONGEST))}{' '}
          {standing.asker.hint.slice(0, LONGEST)}
        </Quiet>
      )}
    </section>
  );
}

function Action(props: { label: string; isOn: boolean; act: () => void }): JSX.Element {
  return (
    <Button disabled={!props.isOn} onClick={props.act}>
      {props.label}
    </Button>
  );
}

function verdictWords(check: ICheck, trans: TranslationBundle): string {
  if (check.verdict === 'passed') {
    return trans.__('passed');
  }
  if (check.verdict === 'not evaluated') {
    return trans.__('not evaluated');
  }
  const words = { error: trans.__('failed'), warning: trans.__('warning'), note: trans.__('note') };
  return words[check.severity] ?? check.severity;
}

function Checks(props: IProps & { standing: IStanding }): JSX.Element {
  const { trans, actions, standing } = props;
  return (
    <Part title={trans.__('Checks')}>
      <ul className="nbp-Review-checks nbp-Plain">
        {inOrder(standing.checks).map(check => (
          <li key={check.code} data-code={check.code} data-verdict={check.verdict}>
            <span
              className={`nbp-Review-verdict nbp-mod-${check.verdict === 'failed' ? check.severity : 'none'}`}
            >
              {verdictWords(check, trans)}
            </span>{' '}
            <span>
              {check.verdict === 'failed'
                ? trans.__('%1, expected: %2', check.code, check.sentence)
                : `${check.code} ${check.sentence}`}
            </span>
            {check.reason && <p>{check.reason.slice(0, LONGEST)}</p>}
            {check.findings.length > 0 && (
              <>
                <ul className="nbp-Review-list">
                  {check.findings.slice(0, MOST_FINDINGS).map((finding, number) => (
                    <li key={number}>
                      <Finding finding={finding} trans={trans} goTo={actions.goTo} />
                    </li>
                  ))}
                </ul>
                <p>{check.hint}</p>
              </>
            )}
          </li>
        ))}
      </ul>
    </Part>
  );
}

function Finding(props: {
  finding: IFinding;
  trans: TranslationBundle;
  goTo: IActions['goTo'];
}): JSX.Element {
  const { finding, trans, goTo } = props;
  const message = finding.message.slice(0, LONGEST);
  if (finding.number === null) {
    return <span>{message}</span>;
  }
  const place =
    finding.line === null
      ? trans.__('Cell %1', finding.number)
      : trans.__('Cell %1, line %2', finding.number, finding.line);
  return (
    <>
      <button className="nbp-Link" onClick={() => goTo(finding)}>
        {place}
      </button>{' '}
      {message}
    </>
  );
}

function Difference(props: {
  difference: IDifference;
  since: string | null;
  trans: TranslationBundle;
  goTo: IActions['goTo'];
}): JSX.Element {
  const { difference, since, trans, goTo } = props;
  return (
    <Part title={trans.__('Changes since the approval of %1', since ?? '')}>
      {difference.same && <Quiet>{trans.__('Nothing has changed.')}</Quiet>}
      <ul className="nbp-Review-list">
        {difference.things.map(thing => (
          <li key={thing}>{thing.slice(0, LONGEST)}</li>
        ))}
        {[...difference.parameters, ...difference.metrics].map(value => (
          <li key={value.name}>
            {trans.__('%1: %2 became %3', value.name, value.before.slice(0, 200), value.after.slice(0, 200))}
          </li>
        ))}
        {difference.outputs.map(number => (
          <li key={number}>{trans.__('Cell %1: its output is another one', number)}</li>
        ))}
      </ul>
      {difference.cells.map((change, number) => (
        <Change key={number} change={change} trans={trans} goTo={goTo} />
      ))}
    </Part>
  );
}

function fateWords(change: ICellChange, trans: TranslationBundle): string {
  const words: Record<string, string> = {
    added: trans.__('added'),
    removed: trans.__('removed'),
    changed: trans.__('changed'),
    moved: trans.__('moved'),
    'moved and changed': trans.__('moved and changed')
  };
  return words[change.fate] ?? change.fate;
}

function Change(props: {
  change: ICellChange;
  trans: TranslationBundle;
  goTo: IActions['goTo'];
}): JSX.Element {
  const { change, trans, goTo } = props;
  const left = change.lines.length - MOST_LINES;
  const words = [fateWords(change, trans), change.words].filter(word => word).join('; ');
  return (
    <div>
      <p>
        {change.after === null ? (
          trans.__('Cell %1 of then', change.before ?? 0)
        ) : (
          <button
            className="nbp-Link"
            onClick={() => goTo({ cell: change.id || null, number: change.after })}
          >
            {trans.__('Cell %1', change.after)}
          </button>
        )}{' '}
        {words}
      </p>
      {change.lines.length > 0 && (
        <pre className="nbp-Review-lines nbp-Code" tabIndex={0}>
          {change.lines.slice(0, MOST_LINES).map((line, number) => (
            <Line key={number} line={line} />
          ))}
          {left > 0 && trans.__('… and %1 more lines', left)}
        </pre>
      )}
    </div>
  );
}

function Line(props: { line: string }): JSX.Element {
  const { mark, text } = marked(props.line);
  const shown = `${mark} ${text.slice(0, LONGEST)}\n`;
  if (mark === '+') {
    return <ins>{shown}</ins>;
  }
  return mark === '−' ? <del>{shown}</del> : <span>{shown}</span>;
}

/** What an approval binds: shown in the panel and again before somebody signs. */
export function Bound(props: {
  standing: IStanding;
  trans: TranslationBundle;
  isOpen?: boolean;
}): JSX.Element {
  const { standing, trans, isOpen } = props;
  return (
    <details className="nbp-Review-bound" open={isOpen}>
      <summary>{trans.__('What an approval binds')}</summary>
      <dl>
        <dt>{trans.__('Digest of the notebook')}</dt>
        <dd>
          <code>{standing.digest ?? trans.__('none')}</code>
        </dd>
        <dt>{trans.__('Hash of all that is bound')}</dt>
        <dd>
          <code>{standing.bound ?? trans.__('none')}</code>
        </dd>
        {standing.subjects.slice(1, MOST_LINES).map(subject => (
          <React.Fragment key={`${subject.kind} ${subject.name}`}>
            <dt>{`${subject.kind} ${subject.name}`}</dt>
            <dd>
              <code>{subject.digest.slice(0, 16)}</code>
            </dd>
          </React.Fragment>
        ))}
        {Object.entries(standing.parameters)
          .slice(0, MOST_LINES)
          .map(([name, value]) => (
            <React.Fragment key={name}>
              <dt>{trans.__('parameter %1', name)}</dt>
              <dd>
                <code>{JSON.stringify(value).slice(0, 200)}</code>
              </dd>
            </React.Fragment>
          ))}
      </dl>
    </details>
  );
}
