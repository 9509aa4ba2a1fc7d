/** The panel of the recording: what ran, in the order in which it ran, and what no longer follows. */

import { UseSignal } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ISignal } from '@lumino/signaling';
import * as React from 'react';
import { h, Fragment } from '../h';
import { Part } from '../parts';
import { Button } from '../button';

import { Banner, Failure, Quiet } from '../notice';
import { duration, LEVELS, shownRows, type IExecution, type Level, type RecordingModel } from './model';
import { levelWords, outcomeWords, SIGNS, stateWords } from './words';

const ROW_PX = 24;
const LIST_ROWS = 20;
const DRAWN_AT_ONCE = 500;
const LONGEST = 300;

/** What the panel can have done, and what it asks of the notebook. */
export interface IActions {
  goTo(cellId: string): void;
  restartAndRunAll(): void;
  toggle(level: Level): void;
  /** The place of a cell in the notebook, counted from 1; 0 for one that is not there. */
  placeOf(cellId: string | null): number;
}

interface IPart {
  model: RecordingModel;
  actions: IActions;
  trans: TranslationBundle;
}

export function RecordingPanel(props: {
  current: () => RecordingModel | null;
  currentChanged: ISignal<unknown, unknown>;
  actions: IActions;
  trans: TranslationBundle;
}): JSX.Element {
  const { actions, trans } = props;
  return (
    <UseSignal signal={props.currentChanged}>
      {() => {
        const model = props.current();
        if (!model) {
          return <Quiet>{trans.__('Open a notebook to see how it is recorded.')}</Quiet>;
        }
        return (
          <UseSignal signal={model.changed}>
            {() => <Notebook model={model} actions={actions} trans={trans} />}
          </UseSignal>
        );
      }}
    </UseSignal>
  );
}

function Notebook({ model, actions, trans }: IPart): JSX.Element {
  const { recording } = model;
  return (
    <div className="nbp-Recording">
      <h2 className="nbp-Recording-title">{trans.__('Recording of %1', model.path.slice(0, LONGEST))}</h2>
      {!!model.error && <Failure error={model.error} />}
      {recording && <How model={model} actions={actions} trans={trans} />}
      <Button className="nbp-Recording-again" onClick={() => actions.restartAndRunAll()}>
        {trans.__('Restart and run all')}
      </Button>
      <Marked model={model} actions={actions} trans={trans} />
      {recording && <Executions model={model} actions={actions} trans={trans} />}
    </div>
  );
}

function How({ model, actions, trans }: IPart): JSX.Element {
  const recording = model.recording!;
  const { waiting } = recording;
  return (
    <>
      <fieldset className="nbp-Recording-levels">
        <legend>{trans.__('What is recorded of each execution')}</legend>
        {LEVELS.map(level => (
          <label key={level}>
            <input
              type="radio"
              name="nbp-recording-level"
              checked={recording.level === level}
              onChange={() => actions.toggle(level)}
            />
            {levelWords(level, trans)}
          </label>
        ))}
      </fieldset>
      {recording.level === 'off' ? (
        <Banner kind="note" label={trans.__('Recording is off.')}>
          {trans.__('Nothing is written down, and hidden state is not looked for.')}
        </Banner>
      ) : (
        !recording.is_recording && (
          <Banner kind="warning" label={trans.__('Nothing is recorded.')}>
            {(recording.reason ?? '').slice(0, LONGEST)}
          </Banner>
        )
      )}
      {waiting.records > 0 && (
        <Banner kind="note" label={trans.__('Waiting.')}>
          {trans._n('%1 record waits for the tracker.', '%1 records wait for the tracker.', waiting.records)}{' '}
          {(waiting.reason ?? '').slice(0, LONGEST)}
        </Banner>
      )}
    </>
  );
}

function Marked({ model, actions, trans }: IPart): JSX.Element {
  const { following, marked } = model;
  return (
    <Part title={trans.__('Cells that no longer follow')}>
      {!following ? (
        <Quiet>{trans.__('Looking at the cells…')}</Quiet>
      ) : !following.is_known ? (
        <Quiet>
          {trans.__('Which results follow from the code above cannot be known: %1.', following.reason ?? '')}
        </Quiet>
      ) : !model.hasRun ? (
        <Quiet>
          {trans.__('Nothing has run in this kernel yet. Results that are shown come from an earlier one.')}
        </Quiet>
      ) : marked.length === 0 ? (
        <Quiet>{trans.__('Every result follows from the code above it.')}</Quiet>
      ) : (
        <ul className="nbp-Recording-marked nbp-Plain">
          {marked.slice(0, DRAWN_AT_ONCE).map(one => (
            <li key={one.id}>
              <span aria-hidden="true" className="nbp-Recording-sign">
                {SIGNS[one.state]}
              </span>
              <div>
                <strong>
                  {trans.__('Cell %1: %2', actions.placeOf(one.id), stateWords(one.state, trans))}
                </strong>
                <p>
                  <Said text={one.because.slice(0, LONGEST)} />
                </p>
                <Button onClick={() => actions.goTo(one.id)}>
                  {trans.__('Go to cell %1', actions.placeOf(one.id))}
                </Button>
                {one.cause && one.cause !== one.id && actions.placeOf(one.cause) > 0 && (
                  <Button onClick={() => actions.goTo(one.cause!)}>
                    {trans.__('Go to cell %1', actions.placeOf(one.cause))}
                  </Button>
                )}
              </div>
            </li>
          ))}
          {marked.length > DRAWN_AT_ONCE && (
            <li>{trans.__('… and %1 more', marked.length - DRAWN_AT_ONCE)}</li>
          )}
        </ul>
      )}
    </Part>
  );
}

/** A sentence whose names stand between backticks. */
function Said({ text }: { text: string }): JSX.Element {
  const parts = text.split('`');
  return <>{parts.map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part))}</>;
}

function Executions({ model, actions, trans }: IPart): JSX.Element {
  const { executions, is_cut } = model.recording!;
  const [scrolled, setScrolled] = React.useState(0);
  const isWhole = executions.length <= DRAWN_AT_ONCE;
  // The newest stands first: it is what one looks for.
  const newest = [...executions].reverse();
  const rows = isWhole
    ? { first: 0, last: newest.length }
    : shownRows(newest.length, scrolled, LIST_ROWS * ROW_PX, ROW_PX);
  const label = trans._n('%1 execution', '%1 executions', executions.length);
  return (
    <Part title={label}>
      {is_cut && <Quiet>{trans.__('Earlier ones are recorded and not shown here.')}</Quiet>}
      {executions.length > 0 && (
        <div
          className="nbp-Recording-list"
          role="list"
          aria-label={trans.__('Executions, the newest first')}
          tabIndex={0}
          style={{ maxHeight: LIST_ROWS * ROW_PX }}
          onScroll={event => setScrolled(event.currentTarget.scrollTop)}
        >
          <div style={{ height: rows.first * ROW_PX }} />
          {newest.slice(rows.first, rows.last).map((one, index) => (
            <Execution
              key={one.exec_id}
              execution={one}
              position={rows.first + index + 1}
              count={newest.length}
              actions={actions}
              trans={trans}
            />
          ))}
          <div style={{ height: (newest.length - rows.last) * ROW_PX }} />
        </div>
      )}
    </Part>
  );
}

function Execution(props: {
  execution: IExecution;
  position: number;
  count: number;
  actions: IActions;
  trans: TranslationBundle;
}): JSX.Element {
  const { execution, actions, trans } = props;
  const place = actions.placeOf(execution.cell_id);
  const where = place
    ? trans.__('cell %1', place)
    : execution.cell_id
      ? trans.__('a deleted cell')
      : execution.outcome === 'unlogged'
        ? trans.__('a cell that is not logged')
        : trans.__('no cell');
  const began = new Date(execution.started_at * 1000);
  return (
    <div
      className={`nbp-Recording-row nbp-mod-${execution.outcome}`}
      role="listitem"
      aria-posinset={props.position}
      aria-setsize={props.count}
      style={{ height: ROW_PX }}
      title={Number.isNaN(began.getTime()) ? '' : began.toLocaleString()}
    >
      <span>{execution.count === null ? '[ ]' : `[${execution.count}]`}</span>
      {place ? (
        <button className="nbp-Link" onClick={() => actions.goTo(execution.cell_id!)}>
          {where}
        </button>
      ) : (
        <span>{where}</span>
      )}
      <span>{outcomeWords(execution.outcome, trans)}</span>
      <span className="nbp-Recording-error">{(execution.error ?? '').slice(0, LONGEST)}</span>
      <span>{duration(execution.seconds)}</span>
    </div>
  );
}
