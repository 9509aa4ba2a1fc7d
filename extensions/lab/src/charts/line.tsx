/** Curves, drawn as SVG: told apart by dashes and letters as well as by colour, and readable as a table. */

import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import { h, Fragment } from '../h';
import { Head, Opened } from '../parts';

import { linear, shown } from './scale';

export interface ISeries {
  name: string;
  /** [x, y] in the order of x; what is not finite is left out of the curve, and counted. */
  points: [number, number][];
}

const WIDTH = 560;
const HEIGHT = 260;
const LEFT = 64;
const RIGHT = 24;
const TOP = 12;
const BOTTOM = 40;
const MOST_ROWS = 200;
const LONGEST = 80;
const COLOURS = [
  '--jp-brand-color1',
  '--jp-error-color1',
  '--jp-success-color1',
  '--jp-warn-color1',
  '--jp-info-color1',
  '--jp-accent-color1',
  '--jp-ui-font-color1',
  '--jp-ui-font-color2'
];
const DASHES = ['', '6 3', '2 3', '10 3 2 3', '1 2', '12 4', '6 2 2 2 2 2', '3 6'];

/** The letter that stands for a curve in the picture and beside it. */
export function letter(number: number): string {
  return String.fromCharCode(65 + (number % 26));
}

/** The path of a curve: it is broken where a value is not finite. */
export function path(
  points: [number, number][],
  x: (value: number) => number,
  y: (value: number) => number
): string {
  let isBroken = true;
  let drawn = '';
  for (const [across, up] of points) {
    if (!Number.isFinite(across) || !Number.isFinite(up)) {
      isBroken = true;
      continue;
    }
    drawn += `${isBroken ? 'M' : 'L'}${x(across).toFixed(1)},${y(up).toFixed(1)}`;
    isBroken = false;
  }
  return drawn;
}

function ends(values: number[]): [number, number] {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (Number.isFinite(value)) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
  }
  return low <= high ? [low, high] : [0, 1];
}

export function LineChart(props: {
  title: string;
  across: string;
  series: ISeries[];
  trans: TranslationBundle;
}): JSX.Element {
  const { title, across, series, trans } = props;
  const all = series.flatMap(({ points }) => points);
  const x = linear(ends(all.map(point => point[0])), [LEFT, WIDTH - RIGHT]);
  const y = linear(ends(all.map(point => point[1])), [HEIGHT - BOTTOM, TOP]);
  const odd = all.filter(point => !Number.isFinite(point[1])).length;
  const name = (number: number): string => `${letter(number)} ${series[number].name.slice(0, LONGEST)}`;
  const told = series.map((_, number) => name(number)).join('; ');
  return (
    <figure className="nbp-Line">
      <figcaption>{title.slice(0, LONGEST)}</figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={trans.__('%1 by %2, of %3', title.slice(0, LONGEST), across, told)}
      >
        {y.ticks.map(tick => (
          <g key={tick}>
            <line className="nbp-Line-grid" x1={LEFT} x2={WIDTH - RIGHT} y1={y(tick)} y2={y(tick)} />
            <text x={LEFT - 6} y={y(tick)} textAnchor="end" dominantBaseline="middle">
              {shown(tick)}
            </text>
          </g>
        ))}
        {x.ticks.map(tick => (
          <text key={tick} x={x(tick)} y={HEIGHT - BOTTOM + 16} textAnchor="middle">
            {shown(tick)}
          </text>
        ))}
        <text x={(LEFT + WIDTH - RIGHT) / 2} y={HEIGHT - 6} textAnchor="middle">
          {across}
        </text>
        {series.map(({ points }, number) => (
          <Curve key={number} number={number} points={points} x={x} y={y} />
        ))}
      </svg>
      <ul className="nbp-Line-key nbp-Plain">
        {series.map((_, number) => (
          <li key={number}>
            <svg viewBox="0 0 28 8" aria-hidden="true">
              <path d="M0,4L28,4" style={styleOf(number)} />
            </svg>
            {name(number)}
          </li>
        ))}
      </ul>
      {odd > 0 && (
        <p className="nbp-Line-odd">
          {trans._n(
            'One value is not a finite number: the curve is broken there.',
            '%1 values are not finite numbers: the curves are broken there.',
            odd
          )}
        </p>
      )}
      <Opened title={trans.__('Values as a table')}>
        <Values {...props} name={name} />
      </Opened>
    </figure>
  );
}

function styleOf(number: number): React.CSSProperties {
  return {
    fill: 'none',
    stroke: `var(${COLOURS[number % COLOURS.length]})`,
    strokeDasharray: DASHES[number % DASHES.length],
    strokeWidth: 1.8
  };
}

function Curve(props: {
  number: number;
  points: [number, number][];
  x: (value: number) => number;
  y: (value: number) => number;
}): JSX.Element | null {
  const { number, points, x, y } = props;
  const finite = points.filter(point => point.every(Number.isFinite));
  if (!finite.length) {
    return null;
  }
  const [lastAcross, lastUp] = finite[finite.length - 1];
  return (
    <g>
      <path d={path(points, x, y)} style={styleOf(number)} />
      {finite.length <= 20 &&
        finite.map(([across, up], index) => (
          <circle
            key={index}
            cx={x(across)}
            cy={y(up)}
            r={2.5}
            style={{ fill: `var(${COLOURS[number % COLOURS.length]})` }}
          />
        ))}
      <text x={x(lastAcross) + 6} y={y(lastUp)} dominantBaseline="middle">
        {letter(number)}
      </text>
    </g>
  );
}

function Values(props: {
  across: string;
  series: ISeries[];
  trans: TranslationBundle;
  name: (number: number) => string;
}): JSX.Element {
  const { across, series, trans, name } = props;
  const columns = series.map(({ points }) => new Map(points));
  const places = [...new Set(columns.flatMap(column => [...column.keys()]))].sort(
    (one, other) => one - other
  );
  return (
    <>
      <table className="nbp-Table">
        <Head names={[across, ...series.map((_, number) => name(number))]} />
        <tbody>
          {places.slice(0, MOST_ROWS).map(place => (
            <tr key={place}>
              <th scope="row">{shown(place)}</th>
              {columns.map((column, number) => (
                <td key={number}>{column.has(place) ? shown(column.get(place)!) : ''}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {places.length > MOST_ROWS && <p>{trans.__('The first %1 of %2 rows.', MOST_ROWS, places.length)}</p>}
    </>
  );
}
