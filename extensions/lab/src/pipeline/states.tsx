/** The states of a task: a word, a sign and a colour for each, so that none stands alone. */

import type { TranslationBundle } from '@jupyterlab/translation';
import { h } from '../h';

import type { ITask, State } from './client';

/** Signs of 16 by 16, drawn as strokes. */
const SIGNS: Record<State, string> = {
  new: 'M8 3a5 5 0 1 0 0 10a5 5 0 1 0 0-10',
  fresh: 'M3 8.5l3.5 3.5L13 4.5',
  stale: 'M8 3v6M8 12v1',
  waits: 'M3 8h1M7.5 8h1M12 8h1',
  queued: 'M8 3a5 5 0 1 0 0 10a5 5 0 1 0 0-10M8 5.5V8l2 1.5',
  running: 'M5 3l8 5l-8 5z',
  failed: 'M4 4l8 8M12 4l-8 8',
  blocked: 'M8 3a5 5 0 1 0 0 10a5 5 0 1 0 0-10M4.5 4.5l7 7',
  stopped: 'M4 4h8v8h-8z'
};

export function Sign(props: { state: State }): JSX.Element {
  return <path className="nbp-Sign" d={SIGNS[props.state] ?? SIGNS.new} />;
}

/** A state within text. */
export function StateMark(props: { state: State; text: string }): JSX.Element {
  return (
    <span className={`nbp-State nbp-mod-${props.state}`}>
      <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
        <Sign state={props.state} />
      </svg>
      {props.text}
    </span>
  );
}

export function stateText(state: State, trans: TranslationBundle): string {
  switch (state) {
    case 'new':
      return trans.__('not run yet');
    case 'fresh':
      return trans.__('fresh');
    case 'stale':
      return trans.__('stale');
    case 'waits':
      return trans.__('waits for upstream');
    case 'queued':
      return trans.__('queued');
    case 'running':
      return trans.__('running');
    case 'failed':
      return trans.__('failed');
    case 'blocked':
      return trans.__('blocked');
    case 'stopped':
      return trans.__('stopped');
  }
  return state;
}

/** A state with how far it has come, where it is at work. */
export function progressText(task: ITask, trans: TranslationBundle): string {
  const text = stateText(task.state, trans);
  return task.state === 'running' && task.cell && task.cells
    ? trans.__('%1, cell %2 of %3', text, task.cell, task.cells)
    : text;
}
