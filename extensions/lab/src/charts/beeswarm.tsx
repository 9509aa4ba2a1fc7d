/** Many rows at once: for each feature a swarm of points, one a row, where its share lies. */

import { h } from '../h';

import type { Say } from '../say';
import { Chart, SMALL, WIDTH, fitted, signed } from './frame';
import { linear, shown } from './scale';

export interface ISwarm {
  name: string;
  shares: number[];
  /** How high the feature's value is among all, from 0 to 1; null where it has no order. */
  heights: (number | null)[];
}

const NAMES = 180;
const LANE = 30;
const RADIUS = 2.2;
/** Levels of height; each has a fill of its own, from the lowest to the highest. */
export const LEVELS = 5;

/** How far each of `places` is moved aside, so that points that lie on one another are seen. */
export function aside(places: number[], room: number): number[] {
  const held = new Map<number, number>();
  return places.map(place => {
    const cell = Math.round(place / (2 * RADIUS));
    const count = held.get(cell) ?? 0;
    held.set(cell, count + 1);
    const step = Math.ceil(count / 2) * 2 * RADIUS * (count % 2 ? 1 : -1);
    // A lane that is full is drawn over again.
    const lane = 2 * room;
    return step === 0 ? 0 : ((((step + room) % lane) + lane) % lane) - room;
  });
}

/** The level of a height, or -1 where there is none. */
export function level(height: number | null): number {
  return height === null || !Number.isFinite(height)
    ? -1
    : Math.max(0, Math.min(LEVELS - 1, Math.floor(height * LEVELS)));
}

function middle(values: number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  return sorted.length ? sorted[Math.floor(sorted.length / 2)] : NaN;
}

export function Beeswarm(props: { label: string; swarms: ISwarm[]; say: Say }): JSX.Element {
  const { swarms, say } = props;
  let low = 0;
  let high = 0;
  for (const swarm of swarms) {
    for (const share of swarm.shares) {
      low = Math.min(low, share);
      high = Math.max(high, share);
    }
  }
  const scale = linear([low, high], [NAMES + 8, WIDTH - 8]);
  const bottom = LANE * swarms.length;
  return (
    <Chart
      label={props.label}
      height={bottom + 36}
      tableLabel={say.__('The numbers as a table')}
      table={{
        head: [say.__('Feature'), say.__('Lowest share'), say.__('Middle share'), say.__('Highest share')],
        rows: swarms.map(swarm => [
          swarm.name,
          signed(swarm.shares.reduce((one, other) => Math.min(one, other), Infinity)),
          signed(middle(swarm.shares)),
          signed(swarm.shares.reduce((one, other) => Math.max(one, other), -Infinity))
        ])
      }}
    >
      <line className="nbp-Chart-zero" x1={scale(0)} x2={scale(0)} y1={0} y2={bottom} />
      {swarms.map((swarm, row) => {
        const y = LANE * row + LANE / 2;
        const places = swarm.shares.map(scale);
        const moved = aside(places, LANE / 2 - 2);
        return (
          <g key={row}>
            <text x={NAMES - 4} y={y + 4} textAnchor="end">
              {fitted(swarm.name, 24)}
            </text>
            {places.map((x, at) => (
              <circle
                key={at}
                className={`nbp-Point nbp-mod-level${level(swarm.heights[at])}`}
                cx={x.toFixed(1)}
                cy={(y + moved[at]).toFixed(1)}
                r={RADIUS}
              />
            ))}
          </g>
        );
      })}
      {scale.ticks.map(tick => (
        <text key={tick} x={scale(tick)} y={bottom + 14} fontSize={SMALL} textAnchor="middle">
          {shown(tick)}
        </text>
      ))}
      <text x={NAMES + 8} y={bottom + 30} fontSize={SMALL}>
        {say.__('low value')}
      </text>
      {Array.from({ length: LEVELS }, (_, at) => (
        <circle
          key={at}
          className={`nbp-Point nbp-mod-level${at}`}
          cx={NAMES + 84 + at * 12}
          cy={bottom + 26}
          r={4}
        />
      ))}
      <text x={NAMES + 88 + LEVELS * 12} y={bottom + 30} fontSize={SMALL}>
        {say.__('high value')}
      </text>
    </Chart>
  );
}
