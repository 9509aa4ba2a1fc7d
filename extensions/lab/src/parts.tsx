/** What every page is made of: parts with titles, tables with heads, what is opened, and a fence around all of it. */

import * as React from 'react';
import { h } from './h';

import { Failure } from './notice';

/** A part of a page that has a title. */
export function Part(props: { title: string; children: React.ReactNode }): JSX.Element {
  return (
    <section aria-label={props.title}>
      <h3>{props.title}</h3>
      {props.children}
    </section>
  );
}

/** The head of a table: what each column holds, and perhaps more about it. */
export function Head(props: { names: string[]; titles?: string[] }): JSX.Element {
  return (
    <thead>
      <tr>
        {props.names.map((name, at) => (
          <th key={at} scope="col" title={props.titles?.[at]}>
            {name}
          </th>
        ))}
      </tr>
    </thead>
  );
}

/** What is drawn, and asks for something, only once it is opened. */
export function Opened(props: { title: string; children: React.ReactNode }): JSX.Element {
  const [isOpen, setOpen] = React.useState(false);
  return (
    <details onToggle={event => setOpen(event.currentTarget.open)}>
      <summary>{props.title}</summary>
      {isOpen && props.children}
    </details>
  );
}

/** Keeps an error of what it draws inside: what stands there instead is the error itself, or `fallback`. */
export class Fence extends React.Component<
  { fallback?: JSX.Element; children: React.ReactNode },
  { error: unknown }
> {
  state: { error: unknown } = { error: null };

  static getDerivedStateFromError(error: unknown): { error: unknown } {
    return { error };
  }

  render(): React.ReactNode {
    const { error } = this.state;
    return error === null ? this.props.children : (this.props.fallback ?? <Failure error={error} />);
  }
}
