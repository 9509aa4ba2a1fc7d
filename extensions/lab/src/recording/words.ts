/** What states, outcomes and levels are called. */

import type { TranslationBundle } from '@jupyterlab/translation';

import type { IRecording, Level, Outcome, State } from './model';

/** A sign for those who see it; what it means stands beside it in words. */
export const SIGNS: Record<State, string> = {
  follows: '',
  'not run': '',
  running: '',
  edited: '✎',
  stale: '≠',
  'out of order': '↕',
  'another life': '↺',
  unknown: '?'
};

export function stateWords(state: State, trans: TranslationBundle): string {
  const words: Record<State, string> = {
    follows: trans.__('follows'),
    'not run': trans.__('not run'),
    running: trans.__('running'),
    edited: trans.__('edited since'),
    stale: trans.__('no longer follows'),
    'out of order': trans.__('run out of order'),
    'another life': trans.__('from another kernel life'),
    unknown: trans.__('cannot know')
  };
  return words[state] ?? state;
}

export function outcomeWords(outcome: Outcome, trans: TranslationBundle): string {
  const words: Record<Outcome, string> = {
    running: trans.__('running'),
    ok: trans.__('done'),
    error: trans.__('error'),
    lost: trans.__('lost: the kernel ended before it'),
    unlogged: trans.__('not logged')
  };
  return words[outcome] ?? outcome;
}

export function levelWords(level: Level, trans: TranslationBundle): string {
  const words: Record<Level, string> = {
    off: trans.__('off'),
    metadata: trans.__('metadata'),
    full: trans.__('full')
  };
  return words[level] ?? level;
}

/** What the status bar shows. */
export function statusWords(recording: IRecording | null, trans: TranslationBundle): string {
  if (!recording) {
    return trans.__('Recording: …');
  }
  if (recording.level === 'off') {
    return trans.__('Recording: off');
  }
  const level = levelWords(recording.level, trans);
  if (!recording.is_recording) {
    return trans.__('Not recording (%1)', level);
  }
  const waiting = recording.waiting.records;
  return waiting
    ? trans._n('Recording: %2, %1 waiting', 'Recording: %2, %1 waiting', waiting, level)
    : trans.__('Recording: %1', level);
}
