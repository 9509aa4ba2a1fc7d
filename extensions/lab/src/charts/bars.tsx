/** Bars of one or two methods side by side, on one scale. */

import { h } from '../h';

import type { Say } from '../say';
import { Arrow, Chart, ROW, SMALL, WIDTH, fitted, signed } from './frame';
import { linear, shown } from './scale';

export interface IBar {
  name: string;
  /** The feature's value in this row, as text. */
  value: string;
  /** One for each method; null where a method says nothing of this feature. */
  shares: (number | null)[];
}

const NAMES = 200;
const GAP = 14;
const LABEL = 60;
const TOP = 26;

/** `methods` name the columns; with `isSize` sizes are drawn, which have no sign. */
export function Bars(props: {
  label: string;
  methods: string[];
  bars: IBar[];
  isSize?: boolean;
  /** The end of the scale, where several pictures share one. */
  top?: number;
  say: Say;
}): JSX.Element {
  const { bars, methods, say } = props;
  const values = bars.flatMap(bar => bar.shares.filter((each): each is number => each !== null));
  const width = (WIDTH - NAMES - GAP * (methods.length - 1)) / methods.length;
  const low = Math.min(0, ...values);
  const high = Math.max(0, props.top ?? 0, ...values);
  const written = (value: number): string => (props.isSize ? shown(value) : signed(value));
  const height = TOP + ROW * bars.length + 6;
  return (
    <Chart
      label={props.label}
      height={height}
      tableLabel={say.__('The numbers as a table')}
      table={{
        head: [say.__('Feature'), say.__('Value'), ...methods],
        rows: bars.map(bar => [
          bar.name,
          bar.value,
          ...bar.shares.map(each => (each === null ? say.__('not selected') : written(each)))
        ])
      }}
    >
      {methods.map((method, at) => {
        const left = NAMES + at * (width + GAP);
        const room: [number, number] = [left + (low < 0 ? LABEL : 2), left + width - (high > 0 ? LABEL : 2)];
        const scale = linear(low === high ? [0, 1] : [low, high], room);
        return (
          <g key={at}>
            <text x={left} y={14} className="nbp-Chart-head">
              {fitted(method, 28)}
            </text>
            <line className="nbp-Chart-zero" x1={scale(0)} x2={scale(0)} y1={TOP - 4} y2={height} />
            {bars.map((bar, row) => {
              const y = TOP + ROW * row + ROW / 2;
              const share = bar.shares[at];
              if (share === null) {
                return (
                  <text key={row} x={scale(0) + 4} y={y + 4} fontSize={SMALL} className="nbp-Chart-quiet">
                    {say.__('not selected')}
                  </text>
                );
              }
              return (
                <g key={row}>
                  <Arrow from={scale(0)} to={scale(share)} y={y} isUp={share >= 0} isHollow={at > 0} />
                  <text
                    x={scale(share) + (share < 0 ? -4 : 4)}
                    y={y + 4}
                    fontSize={SMALL}
                    textAnchor={share < 0 ? 'end' : 'start'}
                  >
                    {written(share)}
                  </text>
                </g>
              );
            })}
          </g>
        );
      })}
      {bars.map((bar, row) => (
        <text key={row} x={NAMES - 8} y={TOP + ROW * row + ROW / 2 + 4} textAnchor="end">
          {fitted(bar.value ? `${bar.name} = ${bar.value}` : bar.name, 26)}
        </text>
      ))}
    </Chart>
  );
}
