/** A button that keeps the focus when it is switched off: who has just pressed it must not be thrown to the start. */

import * as React from 'react';
import { h } from '../h';

export function Button(props: {
  isOff: boolean | undefined;
  onClick: () => void;
  children: React.ReactNode;
}): JSX.Element {
  return (
    <button
      type="button"
      className="jp-Button"
      aria-disabled={props.isOff === true}
      onClick={() => !props.isOff && props.onClick()}
    >
      {props.children}
    </button>
  );
}
