/** How runs are put into words. */

import type { TranslationBundle } from '@jupyterlab/translation';

import { shown } from '../charts/scale';
import { toNumber, type IRun, type Kind, type Status, type Value } from './rows';

/** Longer texts are cut where they are drawn, whatever was sent. */
export const LONGEST_NAME = 200;
export const LONGEST_TEXT = 2000;

export const KINDS: Kind[] = ['pipeline', 'task', 'child', 'session', 'own'];
export const STATES: Status[] = ['running', 'done', 'failed', 'stopped', 'interrupted'];

/** A sign before a state, for the eye; the word is always beside it. */
export const SIGN: Record<Status, string> = {
  running: '▶',
  done: '✓',
  failed: '✗',
  stopped: '■',
  interrupted: '!'
};

export function kindInWords(kind: Kind, trans: TranslationBundle): string {
  switch (kind) {
    case 'pipeline':
      return trans.__('pipeline');
    case 'task':
      return trans.__('task');
    case 'child':
      return trans.__('nested run');
    case 'session':
      return trans.__('notebook session');
    default:
      return trans.__('own code');
  }
}

export function stateInWords(status: Status, trans: TranslationBundle): string {
  switch (status) {
    case 'running':
      return trans.__('running');
    case 'done':
      return trans.__('done');
    case 'failed':
      return trans.__('failed');
    case 'interrupted':
      return trans.__('interrupted');
    default:
      return trans.__('stopped');
  }
}

export function duration(seconds: number): string {
  if (seconds < 10) {
    return `${seconds.toFixed(1)} s`;
  }
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  if (hours) {
    return `${hours} h ${minutes} min`;
  }
  return minutes ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}

// Made once: making it takes longer than a whole list of rows.
let format: Intl.DateTimeFormat | null = null;

export function moment(at: number): string {
  format ??= new Intl.DateTimeFormat(undefined, { dateStyle: 'short', timeStyle: 'short' });
  return Math.abs(at) < 8.64e15 ? format.format(at) : '?';
}

/** A value of a table: a number in four digits, a text cut, and a dash where there is none. */
export function valueInWords(value: string | number | null, isNumber: boolean): string {
  if (value === null) {
    return '–';
  }
  return isNumber ? shown(toNumber(value as Value)) : String(value).slice(0, LONGEST_TEXT);
}

/** A run by its name and the beginning of its id: names repeat. */
export function called(run: Pick<IRun, 'id' | 'name'>): string {
  return `${run.name.slice(0, LONGEST_NAME)} (${run.id.slice(0, 8)})`;
}
