/** An explanation as it is looked at: one row by both methods on one scale, or what matters over many rows. */

import { h, Fragment } from '../h';

import { Bars } from '../charts/bars';
import { Beeswarm } from '../charts/beeswarm';
import { Dependence } from '../charts/dependence';
import { shown } from '../charts/scale';
import { Waterfall } from '../charts/waterfall';
import type { Say } from '../say';
import type { IBundle, IExplanation, ILine } from './explanation';
import {
  answer,
  barsOf,
  importanceOf,
  likeliest,
  methodOf,
  outputsOf,
  pointsOf,
  stepsOf,
  swarmsOf
} from './story';

/** What of an explanation is looked at. */
export interface IChoice {
  row: number;
  output: string | null;
  feature: string | null;
  /** Whether all rows are looked at, of those of which there are many. */
  isAll: boolean;
}

export const START: IChoice = { row: 0, output: null, feature: null, isAll: true };

interface IView {
  bundle: IBundle;
  choice: IChoice;
  choose: (part: Partial<IChoice>) => void;
  say: Say;
}

/** The whole view; `choice` is held by whoever shows it. */
export function ExplanationView(props: IView): JSX.Element {
  const { bundle, say } = props;
  const [first] = bundle.explanations;
  const output = props.choice.output ?? likeliest(first);
  const choice = { ...props.choice, output };
  const isMany = first.values.length !== 1;
  const isAll = isMany && (choice.isAll || !first.values.length);
  return (
    <div className="nbp-Explanation">
      <Choices {...props} choice={choice} isMany={isMany} isAll={isAll} />
      {isAll ? <AllRows {...props} choice={choice} /> : <OneRow {...props} choice={choice} />}
      {bundle.leftOut > 0 && (
        <p className="nbp-Note nbp-Code">
          {say.__('%1 more features that matter least are not drawn.', bundle.leftOut)}
        </p>
      )}
      <Notes notes={[...new Set(bundle.explanations.flatMap(each => each.notes))]} say={say} />
      <Verdicts lines={bundle.lines} say={say} />
    </div>
  );
}

function Choices(props: IView & { isMany: boolean; isAll: boolean }): JSX.Element | null {
  const { bundle, choice, choose, say } = props;
  const [first] = bundle.explanations;
  const outputs = outputsOf(first);
  if (outputs.length < 2 && !props.isMany) {
    return null;
  }
  return (
    <div className="nbp-Fields">
      {outputs.length > 1 && (
        <label>
          {say.__('Class')}{' '}
          <select value={choice.output ?? ''} onChange={event => choose({ output: event.target.value })}>
            {outputs.map(each => (
              <option key={each} value={each}>
                {each}
              </option>
            ))}
          </select>
        </label>
      )}
      {props.isMany && (
        <label>
          {say.__('Rows')}{' '}
          <select
            value={props.isAll ? 'all' : 'one'}
            onChange={event => choose({ isAll: event.target.value === 'all' })}
          >
            <option value="all">{say.__('all of them')}</option>
            <option value="one">{say.__('one of them')}</option>
          </select>
        </label>
      )}
      {props.isMany && !props.isAll && (
        <label>
          {say.__('Row')}{' '}
          <input
            type="number"
            min={0}
            max={first.values.length - 1}
            value={choice.row}
            onChange={event => choose({ row: inside(event.target.valueAsNumber, first.values.length) })}
          />
        </label>
      )}
    </div>
  );
}

function inside(row: number, rows: number): number {
  return Number.isFinite(row) ? Math.max(0, Math.min(rows - 1, Math.round(row))) : 0;
}

/** What is explained: `the probability of default`. */
function subject(made: IExplanation, output: string, say: Say): string {
  if (made.unit === 'raw') {
    return output === 'prediction' ? say.__('the prediction') : output;
  }
  return made.unit === 'probability'
    ? say.__('the probability of %1', output)
    : say.__('the log-odds of %1', output);
}

function OneRow(props: IView): JSX.Element {
  const { bundle, choice, say } = props;
  const [first] = bundle.explanations;
  const row = inside(choice.row, first.values.length);
  const output = choice.output ?? '';
  const name = subject(first, output, say);
  const prediction = answer(first, first.prediction, row, output);
  const base = answer(first, first.base, row, output);
  const methods = bundle.explanations.map(each => methodOf(each, say));
  const shares = bundle.explanations.find(each => each.kind === 'shares');
  return (
    <>
      <p className="nbp-Explanation-answer" aria-live="polite">
        {say.__('Prediction: %1 is', name)} <strong data-testid="prediction">{shown(prediction)}</strong>.{' '}
        {first.kind === 'shares' && say.__('Base, before any feature is known: %1.', shown(base))}{' '}
        {bundle.explanations.map(
          (each, at) =>
            each.r2 && (
              <span key={at}>
                {say.__('LIME tells %1 of what the model does near this row (R²).', percent(each.r2[row][0]))}
              </span>
            )
        )}
      </p>
      <Bars
        label={say.__(
          'Why %1 is %2: shares by %3, on one scale',
          name,
          shown(prediction),
          methods.join(', ')
        )}
        methods={methods}
        bars={barsOf(bundle.explanations, row, output, say)}
        say={say}
      />
      {shares && (
        <details className="nbp-Explanation-way">
          <summary>{say.__('The way from the base to the prediction')}</summary>
          <Waterfall
            label={say.__('The way from the base %1 to %2, %3', shown(base), name, shown(prediction))}
            base={answer(shares, shares.base, row, output)}
            prediction={answer(shares, shares.prediction, row, output)}
            steps={stepsOf(shares, row, output, say)}
            say={say}
          />
        </details>
      )}
    </>
  );
}

function AllRows(props: IView): JSX.Element {
  const { bundle, choice, choose, say } = props;
  const [first] = bundle.explanations;
  const output = choice.output ?? '';
  const name = subject(first, output, say);
  const methods = bundle.explanations.map(each => methodOf(each, say));
  const bars = importanceOf(bundle.explanations, output);
  const feature = Math.max(0, first.names.indexOf(choice.feature ?? bars[0]?.name ?? ''));
  return (
    <>
      <p className="nbp-Explanation-answer">
        {say.__('%1 rows, %2; shares in the unit of the answer.', first.rows, name)}{' '}
        {first.rows > first.values.length &&
          say.__('Single rows are drawn of the first %1.', first.values.length)}
      </p>
      <Bars
        label={say.__('What matters for %1: mean sizes of the shares of %2 rows', name, first.rows)}
        methods={methods}
        bars={bars}
        isSize
        say={say}
      />
      {first.values.length > 0 && (
        <>
          <Beeswarm
            label={say.__('Shares of each row by %1, for the features that matter most', methods[0])}
            swarms={swarmsOf(first, output)}
            say={say}
          />
          <div className="nbp-Fields">
            <label>
              {say.__('Dependence on')}{' '}
              <select
                value={first.names[feature]}
                onChange={event => choose({ feature: event.target.value })}
              >
                {first.names.map(each => (
                  <option key={each} value={each}>
                    {each}
                  </option>
                ))}
              </select>
            </label>
          </div>
          <Dependence
            label={say.__('How the share of %1 depends on its value', first.names[feature])}
            feature={first.names[feature]}
            points={pointsOf(first, feature, output)}
            say={say}
          />
        </>
      )}
    </>
  );
}

function percent(part: number): string {
  return `${shown(Math.round(part * 100))} %`;
}

/** What a reader must know before reading a number. */
export function Notes(props: { notes: string[]; say: Say }): JSX.Element | null {
  return props.notes.length ? (
    <ul className="nbp-Notes" aria-label={props.say.__('What to know before reading a number')}>
      {props.notes.map((note, at) => (
        <li key={at} role="listitem">
          <strong>{props.say.__('Note:')}</strong> {note}
        </li>
      ))}
    </ul>
  ) : null;
}

/** How far the explanation can be trusted, in words. */
export function Verdicts(props: { lines: ILine[]; say: Say }): JSX.Element | null {
  const { lines, say } = props;
  const words = {
    pass: say.__('passes'),
    warn: say.__('warns'),
    fail: say.__('fails'),
    'not evaluated': say.__('not evaluated')
  };
  return lines.length ? (
    <table className="nbp-Verdicts">
      <caption>{say.__('How far it can be trusted')}</caption>
      <tbody>
        {lines.map((line, at) => (
          <tr key={at} className={`nbp-mod-${line.verdict.replace(' ', '-')}`}>
            <th scope="row">{line.name}</th>
            <td>{words[line.verdict]}</td>
            <td>{line.sentence}</td>
          </tr>
        ))}
      </tbody>
    </table>
  ) : null;
}
