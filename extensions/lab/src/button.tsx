/** A button as JupyterLab's own look. */

import * as React from 'react';

import { h } from './h';

export function Button(props: React.ButtonHTMLAttributes<HTMLButtonElement>): JSX.Element {
  return <button {...props} className={`jp-mod-styled ${props.className ?? ''}`} />;
}
