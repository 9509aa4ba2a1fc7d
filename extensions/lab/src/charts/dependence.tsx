/** How a feature's share depends on its value: one point a row. */

import { h } from '../h';

import type { Say } from '../say';
import { Chart, SMALL, WIDTH, fitted, signed } from './frame';
import { linear, shown } from './scale';

export interface IPoint {
  /** A number, or the name of a kind. */
  value: number | string;
  share: number;
}

const HEIGHT = 260;
const LEFT = 56;
const BOTTOM = 30;

export function Dependence(props: {
  label: string;
  feature: string;
  points: IPoint[];
  say: Say;
}): JSX.Element {
  const { points, say } = props;
  const kinds = [...new Set(points.map(each => each.value).filter(each => typeof each === 'string'))].sort();
  const isKinds = kinds.length > 0;
  const at = (value: number | string): number => (isKinds ? kinds.indexOf(String(value)) : Number(value));
  const drawn = points.filter(each => Number.isFinite(at(each.value)) && (!isKinds || at(each.value) >= 0));
  const places = drawn.map(each => at(each.value));
  const shares = drawn.map(each => each.share);
  const least = (values: number[]): number => values.reduce((one, other) => Math.min(one, other), Infinity);
  const most = (values: number[]): number => values.reduce((one, other) => Math.max(one, other), -Infinity);
  const across = linear(isKinds ? [-0.5, kinds.length - 0.5] : [least(places), most(places)], [
    LEFT + 6,
    WIDTH - 10
  ]);
  const up = linear([Math.min(0, least(shares)), Math.max(0, most(shares))], [HEIGHT - BOTTOM, 10]);
  return (
    <Chart
      label={props.label}
      height={HEIGHT}
      tableLabel={say.__('The numbers as a table')}
      table={{
        head: [props.feature, say.__('Share')],
        rows: drawn.map(each => [
          typeof each.value === 'number' ? shown(each.value) : each.value,
          signed(each.share)
        ])
      }}
    >
      <line className="nbp-Chart-zero" x1={LEFT} x2={WIDTH - 6} y1={up(0)} y2={up(0)} />
      {up.ticks.map(tick => (
        <text key={tick} x={LEFT - 4} y={up(tick) + 4} fontSize={SMALL} textAnchor="end">
          {shown(tick)}
        </text>
      ))}
      {(isKinds ? kinds.map((_, place) => place) : across.ticks).map(tick => (
        <text key={tick} x={across(tick)} y={HEIGHT - BOTTOM + 16} fontSize={SMALL} textAnchor="middle">
          {isKinds ? fitted(String(kinds[tick]), 14) : shown(tick)}
        </text>
      ))}
      {drawn.map((each, place) => (
        <circle
          key={place}
          className="nbp-Point nbp-mod-plain"
          cx={across(places[place]).toFixed(1)}
          cy={up(each.share).toFixed(1)}
          r={2.5}
        />
      ))}
    </Chart>
  );
}
