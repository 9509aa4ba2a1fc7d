/** What every page is made of: parts with titles, and tables with heads. */

import * as React from 'react';
import { h } from './h';

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
