/** What every panel says in the same way: that it is at work, that there is nothing, that something went wrong. */

import * as React from 'react';
import { h } from './h';

import { RequestError } from './request';

const LONGEST = 2000;

/** One line about what is not so yet; read out politely. */
export function Quiet(props: { children: React.ReactNode }): JSX.Element {
  return (
    <p className="nbp-Quiet" role="status">
      {props.children}
    </p>
  );
}

/** An error as it is: what was found and expected, and what to do next. */
export function Failure(props: { error: unknown }): JSX.Element {
  const { error } = props;
  const said = error instanceof Error ? error.message : String(error);
  const hint = error instanceof RequestError ? error.hint : '';
  return (
    <div className="nbp-Failure" role="alert">
      <p>{said.slice(0, LONGEST)}</p>
      {hint && <p className="nbp-Failure-hint">{hint.slice(0, LONGEST)}</p>}
    </div>
  );
}

/** Something that needs attention; its kind stands in words before it, not in colour alone. */
export function Banner(props: {
  kind: 'note' | 'warning' | 'error';
  label: string;
  children: React.ReactNode;
}): JSX.Element {
  return (
    <div className={`nbp-Banner nbp-mod-${props.kind}`} role={props.kind === 'error' ? 'alert' : 'note'}>
      <strong>{props.label}</strong> {props.children}
    </div>
  );
}
