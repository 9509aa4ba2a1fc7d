/** What every chart has: a picture with a name of its own, and the same numbers as a table. */

import * as React from 'react';
import { h } from '../h';
import { Head } from '../parts';

import { shown } from './scale';

export const WIDTH = 560;
export const ROW = 24;
export const SMALL = 11;

/** A share with its sign, which stands there in any colour. */
export function signed(value: number): string {
  return value > 0 ? `+${shown(value)}` : shown(value);
}

/** A text that fits: what is cut off stands in the table. */
export function fitted(text: string, letters: number): string {
  return text.length > letters ? `${text.slice(0, letters - 1)}…` : text;
}

export interface ITable {
  head: string[];
  rows: (string | number)[][];
}

/** A picture for the eye and a table for everyone; `label` says what the picture shows. */
export function Chart(props: {
  label: string;
  height: number;
  table: ITable;
  /** What opens the table. */
  tableLabel: string;
  children: React.ReactNode;
}): JSX.Element {
  const { label, height, table } = props;
  return (
    <figure className="nbp-Chart">
      <svg
        role="img"
        aria-label={label}
        viewBox={`0 0 ${WIDTH} ${height}`}
        preserveAspectRatio="xMinYMin meet"
      >
        {props.children}
      </svg>
      <details>
        <summary>{props.tableLabel}</summary>
        <table>
          <caption>{label}</caption>
          <Head names={table.head} />
          <tbody>
            {table.rows.map((row, at) => (
              <tr key={at}>
                {row.map((cell, column) =>
                  column ? (
                    <td key={column}>{cell}</td>
                  ) : (
                    <th key={column} scope="row">
                      {cell}
                    </th>
                  )
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </figure>
  );
}

/** A bar from `from` to `to` that ends in a point where it leads; what is up and down is seen without colour. */
export function Arrow(props: {
  from: number;
  to: number;
  y: number;
  isUp: boolean;
  isHollow?: boolean;
}): JSX.Element {
  const { from, to, y, isUp } = props;
  const half = 7;
  const tip = Math.min(5, Math.abs(to - from)) * Math.sign(to - from);
  const points = [
    [from, y - half],
    [to - tip, y - half],
    [to, y],
    [to - tip, y + half],
    [from, y + half]
  ];
  return (
    <polygon
      className={`nbp-Arrow${isUp ? ' nbp-mod-up' : ''}${props.isHollow ? ' nbp-mod-hollow' : ''}`}
      points={points.map(point => point.map(each => each.toFixed(1)).join(',')).join(' ')}
    />
  );
}
