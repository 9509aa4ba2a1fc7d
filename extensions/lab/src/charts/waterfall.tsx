/** The way from the base to the prediction, one share after another. */

import { h } from '../h';

import type { Say } from '../say';
import { Arrow, Chart, ROW, SMALL, WIDTH, fitted, signed } from './frame';
import { linear, shown } from './scale';

export interface IStep {
  name: string;
  value: string;
  share: number;
}

const NAMES = 200;
const LABEL = 60;

export function Waterfall(props: {
  label: string;
  base: number;
  prediction: number;
  steps: IStep[];
  say: Say;
}): JSX.Element {
  const { base, prediction, steps, say } = props;
  const ends: number[] = [];
  steps.reduce((sum, step) => {
    ends.push(sum + step.share);
    return sum + step.share;
  }, base);
  const all = [base, prediction, ...ends];
  const scale = linear([Math.min(...all), Math.max(...all)], [NAMES + 6, WIDTH - LABEL]);
  const place = (row: number): number => ROW * row + ROW / 2;
  const last = steps.length + 1;
  return (
    <Chart
      label={props.label}
      height={ROW * (steps.length + 2) + 4}
      tableLabel={say.__('The numbers as a table')}
      table={{
        head: [say.__('Feature'), say.__('Value'), say.__('Share'), say.__('Sum')],
        rows: [
          [say.__('base'), '', '', shown(base)],
          ...steps.map((step, at) => [step.name, step.value, signed(step.share), shown(ends[at])]),
          [say.__('prediction'), '', '', shown(prediction)]
        ]
      }}
    >
      {[
        { text: say.__('base'), value: base, row: 0 },
        { text: say.__('prediction'), value: prediction, row: last }
      ].map(mark => (
        <g key={mark.row}>
          <text x={NAMES - 8} y={place(mark.row) + 4} textAnchor="end" className="nbp-Chart-head">
            {mark.text}
          </text>
          <circle className="nbp-Chart-mark" cx={scale(mark.value)} cy={place(mark.row)} r={4} />
          <text x={scale(mark.value) + 8} y={place(mark.row) + 4} fontSize={SMALL}>
            {shown(mark.value)}
          </text>
        </g>
      ))}
      {steps.map((step, at) => {
        const from = scale(at ? ends[at - 1] : base);
        const to = scale(ends[at]);
        const y = place(at + 1);
        return (
          <g key={at}>
            <line className="nbp-Chart-link" x1={from} x2={from} y1={y - ROW + 4} y2={y + 7} />
            <text x={NAMES - 8} y={y + 4} textAnchor="end">
              {fitted(step.value ? `${step.name} = ${step.value}` : step.name, 26)}
            </text>
            <Arrow from={from} to={to} y={y} isUp={step.share >= 0} />
            <text x={Math.max(from, to) + 4} y={y + 4} fontSize={SMALL}>
              {signed(step.share)}
            </text>
          </g>
        );
      })}
    </Chart>
  );
}
