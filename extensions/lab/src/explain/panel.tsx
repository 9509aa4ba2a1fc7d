/** The Explain panel as it is seen; what it shows and does is the model's. */

import { UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';
import { h, Fragment } from '../h';
import { Head } from '../parts';
import { Button } from '../button';

import { shown } from '../charts/scale';
import { Bars } from '../charts/bars';
import { answer } from '../mime/story';
import { ExplanationView } from '../mime/view';
import { Banner, Failure, Quiet } from '../notice';
import type { Say } from '../say';
import {
  backgroundsFor,
  tablesFor,
  type Edit,
  type ExplainModel,
  type IField,
  type ISlices,
  type IShown,
  type Tab
} from './model';

/** What the panel does to the notebook. */
export interface IInserting {
  /** Insert a cell with this code. */
  insert: (code: string) => void;
  /** Insert it, tagged for the report, and run it. */
  report: (code: string) => void;
}

interface IPart {
  model: ExplainModel;
  say: Say;
}

const LONGEST_LIST = 200;

export function ExplainPanel(props: IPart & IInserting): JSX.Element {
  const { model } = props;
  return <UseSignal signal={model.changed}>{() => <Whole {...props} />}</UseSignal>;
}

function Whole(props: IPart & IInserting): JSX.Element {
  const { model, say } = props;
  return (
    <div className="nbp-Explain">
      <h2>{say.__('Explain')}</h2>
      <Looking {...props} />
      <State {...props} />
      {model.choice && model.found && (
        <>
          <Choosing {...props} />
          <Tabs {...props} />
          <div
            role="tabpanel"
            id={`nbp-explain-${model.tab}`}
            aria-labelledby={`nbp-explain-tab-${model.tab}`}
            aria-busy={model.run !== null}
          >
            {model.tab === 'row' && <RowTab {...props} />}
            {model.tab === 'all' && <AllTab {...props} />}
            {model.tab === 'slices' && <SlicesTab {...props} />}
          </div>
        </>
      )}
    </div>
  );
}

function Looking(props: IPart): JSX.Element {
  const { model, say } = props;
  const isLooking = model.run?.kind === 'look';
  return (
    <>
      <p className="nbp-Explain-where">
        {model.notebook
          ? say.__('Models and tables of %1', model.notebook)
          : say.__('Open a notebook to explain its models.')}{' '}
        <Button
          className="jp-mod-accept"
          disabled={!model.hasKernel || isLooking}
          onClick={() => void model.look()}
        >
          {model.found ? say.__('Look again') : say.__('Look')}
        </Button>
      </p>
      {!model.found && model.hasKernel && !model.error && !isLooking && (
        <Quiet>
          {say.__(
            'Nothing runs before you press Look. It lists the models and tables in the kernel; explaining asks the model about rows, and changes neither.'
          )}
        </Quiet>
      )}
    </>
  );
}

/** What runs, what waits, and what went wrong. */
function State(props: IPart): JSX.Element {
  const { model, say } = props;
  const { run, estimate } = model;
  const progress = run?.progress;
  return (
    <>
      {model.isWaiting && <Quiet>{say.__('The kernel is busy; waiting until its cell has ended.')}</Quiet>}
      {run && (
        <div className="nbp-Explain-run">
          {progress ? (
            <>
              <div
                role="progressbar"
                aria-label={say.__('Explaining by %1', progress.method)}
                aria-valuemin={0}
                aria-valuemax={progress.total}
                aria-valuenow={progress.done}
                className="nbp-Progress"
              >
                <div style={{ width: `${(100 * progress.done) / Math.max(1, progress.total)}%` }} />
              </div>
              <span>
                {say.__('%1: %2 of %3 rows', progress.method, progress.done, progress.total)}
                {progress.remaining_s !== null &&
                  `, ${say.__('%1 left', seconds(progress.remaining_s, say))}`}
              </span>
            </>
          ) : (
            <div
              role="progressbar"
              aria-label={say.__('At work in the kernel')}
              className="nbp-Progress nbp-mod-open"
            >
              <div />
            </div>
          )}
          {run.kind !== 'look' && <Button onClick={() => model.cancel()}>{say.__('Cancel')}</Button>}
        </div>
      )}
      {estimate && (
        <div className="nbp-Banner nbp-mod-warning" role="alert">
          {say.__('This will take about %1 for %2 rows.', seconds(estimate.seconds, say), estimate.rows)}{' '}
          <Button className="jp-mod-accept" onClick={() => void model.proceed()}>
            {say.__('Begin')}
          </Button>{' '}
          <Button onClick={() => model.decline()}>{say.__('Leave it')}</Button>
        </div>
      )}
      {Boolean(model.error) && <Failure error={model.error} />}
    </>
  );
}

function seconds(value: number, say: Say): string {
  return value < 90
    ? say.__('%1 s', shown(Number(value.toPrecision(2))))
    : say.__('%1 min', shown(Math.round(value / 60)));
}

function Choosing(props: IPart): JSX.Element {
  const { model, say } = props;
  const { found, choice, options } = model;
  if (!found || !choice) {
    return <></>;
  }
  const tables = tablesFor(found, choice.model);
  const picked = found.models.find(each => each.name === choice.model);
  const table = tables.find(each => each.name === choice.table);
  const backgrounds = picked && table ? backgroundsFor(found, picked, table) : [];
  const problems = found.models.filter(each => each.problem);
  return (
    <fieldset className="nbp-Fields">
      <legend>{say.__('What is explained')}</legend>
      <Choice
        label={say.__('Model')}
        value={choice.model}
        options={found.models
          .filter(each => !each.problem)
          .map(each => [each.name, `${each.name} (${each.kind})`])}
        choose={name => model.choose({ model: name })}
      />
      <Choice
        label={say.__('Rows of')}
        value={choice.table}
        options={tables.map(each => [each.name, say.__('%1 (%2 × %3)', each.name, each.rows, each.width)])}
        choose={name => model.choose({ table: name })}
      />
      <Choice
        label={say.__('Compared with')}
        value={choice.background}
        options={backgrounds.map(each => [each.name, each.name])}
        choose={name => model.choose({ background: name })}
      />
      {options && options.units.length > 1 && (
        <Choice
          label={say.__('Unit')}
          value={choice.unit ?? options.unit}
          options={options.units.map(each => [each, each])}
          choose={unit => model.choose({ unit })}
        />
      )}
      {options && options.methods.length > 1 && (
        <Choice
          label={say.__('SHAP by')}
          value={choice.method ?? ''}
          options={[
            ['', say.__('%1 (as fits)', options.methods[0])],
            ...options.methods.slice(1).map((each): [string, string] => [each, each])
          ]}
          choose={method => model.choose({ method: method || null })}
        />
      )}
      {problems.length > 0 && (
        <details>
          <summary>{say.__('Not to be explained: %1', problems.length)}</summary>
          <ul>
            {problems.map(each => (
              <li key={each.name}>
                {each.name}: {each.problem}
              </li>
            ))}
          </ul>
        </details>
      )}
    </fieldset>
  );
}

function Choice(props: {
  label: string;
  value: string;
  options: [string, string][];
  choose: (value: string) => void;
}): JSX.Element {
  return (
    <label>
      {props.label}{' '}
      <select value={props.value} onChange={event => props.choose(event.target.value)}>
        {props.options.slice(0, LONGEST_LIST).map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

function Tabs(props: IPart): JSX.Element {
  const { model, say } = props;
  const tabs: [Tab, string][] = [
    ['row', say.__('One row')],
    ['all', say.__('The model')],
    ['slices', say.__('By groups')]
  ];
  const turn = (event: React.KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) {
      const at = tabs.findIndex(([tab]) => tab === model.tab);
      const [next] = tabs[(at + step + tabs.length) % tabs.length];
      model.open(next);
      document.getElementById(`nbp-explain-tab-${next}`)?.focus();
    }
  };
  return (
    <div role="tablist" aria-label={say.__('Views')} className="nbp-Tabs" onKeyDown={turn}>
      {tabs.map(([tab, label]) => (
        <button
          key={tab}
          role="tab"
          id={`nbp-explain-tab-${tab}`}
          aria-selected={model.tab === tab}
          aria-controls={`nbp-explain-${tab}`}
          tabIndex={model.tab === tab ? 0 : -1}
          onClick={() => model.open(tab)}
        >
          {label}
        </button>
      ))}
    </div>
  );
}

function RowTab(props: IPart & IInserting): JSX.Element {
  const { model, say } = props;
  const { choice } = model;
  const table = model.found?.tables.find(each => each.name === choice?.table);
  if (!choice || !table) {
    return <></>;
  }
  return (
    <>
      <form
        className="nbp-Fields"
        onSubmit={event => {
          event.preventDefault();
          void model.explainRow();
        }}
      >
        <label>
          {say.__('Row')}{' '}
          <input
            type="number"
            min={0}
            max={table.rows - 1}
            value={choice.row}
            onChange={event => model.choose({ row: within(event.target.valueAsNumber, 0, table.rows - 1) })}
          />
        </label>
        <Button className="jp-mod-accept" type="submit">
          {say.__('Explain row')}
        </Button>
      </form>
      <Preview {...props} />
      {model.row && <Fields {...props} fields={model.row.fields} />}
      <Result {...props} shown={model.shown} />
    </>
  );
}

function within(value: number, low: number, high: number): number {
  return Number.isFinite(value) ? Math.max(low, Math.min(high, Math.round(value))) : low;
}

/** The table's rows, of which one is picked. */
function Preview(props: IPart): JSX.Element {
  const { model, say } = props;
  const { preview, choice } = model;
  if (!preview || !choice) {
    return <></>;
  }
  const step = 100;
  return (
    <details className="nbp-Preview">
      <summary>{say.__('Pick a row of %1', choice.table)}</summary>
      <div
        className="nbp-Preview-scroll"
        tabIndex={0}
        role="region"
        aria-label={say.__('Rows of %1', choice.table)}
      >
        <table>
          <Head names={[say.__('Row'), ...preview.columns]} />
          <tbody>
            {preview.cells.map((row, at) => (
              <tr key={at} className={preview.start + at === choice.row ? 'nbp-mod-chosen' : ''}>
                <th scope="row">
                  <button
                    aria-pressed={preview.start + at === choice.row}
                    onClick={() => {
                      model.choose({ row: preview.start + at });
                      void model.explainRow();
                    }}
                  >
                    {preview.start + at}
                  </button>
                </th>
                {row.map((cell, column) => (
                  <td key={column}>{cell}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {preview.total > step && (
        <p className="nbp-Fields">
          <Button
            disabled={preview.start === 0}
            onClick={() => void model.turnTo(Math.max(0, preview.start - step))}
          >
            {say.__('Rows before')}
          </Button>
          <Button
            disabled={preview.start + step >= preview.total}
            onClick={() => void model.turnTo(preview.start + step)}
          >
            {say.__('Rows after')}
          </Button>
        </p>
      )}
    </details>
  );
}

/** What if: a field for each value of the row. */
function Fields(props: IPart & { fields: IField[] }): JSX.Element {
  const { model, say } = props;
  return (
    <details className="nbp-WhatIf">
      <summary>{say.__('What if? Edit the row')}</summary>
      <div className="nbp-Fields">
        {props.fields.map(field => (
          <Field key={field.name} field={field} model={model} say={say} />
        ))}
      </div>
      <p>
        <Button disabled={!model.edits.size} onClick={() => model.reset()}>
          {say.__('Reset')}
        </Button>
      </p>
    </details>
  );
}

function Field(props: IPart & { field: IField }): JSX.Element {
  const { field, model, say } = props;
  const isEdited = model.edits.has(field.name);
  const value: Edit = isEdited ? (model.edits.get(field.name) ?? null) : field.value;
  const set = (next: Edit): void => model.edit(field.name, next);
  const name = field.unit ? `${field.name} (${field.unit})` : field.name;
  const range =
    field.kind !== 'category' && field.low !== null && field.high !== null
      ? say.__('%1 to %2 in the rows compared with', shown(field.low), shown(field.high))
      : '';
  return (
    <label title={range} className={isEdited ? 'nbp-mod-edited' : ''}>
      {name}
      {isEdited ? ` ${say.__('(edited)')}` : ''}{' '}
      {field.kind === 'category' ? (
        <select
          value={value === null ? '' : String(value)}
          onChange={event => set(event.target.value === '' ? null : Number(event.target.value))}
        >
          {field.value === null && <option value="">{say.__('missing')}</option>}
          {field.categories.map((each, at) => (
            <option key={at} value={at}>
              {each}
            </option>
          ))}
        </select>
      ) : field.kind === 'mark' ? (
        <input type="checkbox" checked={Boolean(value)} onChange={event => set(event.target.checked)} />
      ) : (
        <Figure value={value === null ? null : Number(value)} isWhole={field.kind === 'whole'} set={set} />
      )}
    </label>
  );
}

/** A number that is being typed: what is no number yet is not passed on, and nothing is a missing value. */
function Figure(props: { value: number | null; isWhole: boolean; set: (value: Edit) => void }): JSX.Element {
  const [typed, setTyped] = React.useState<string | null>(null);
  const text = props.value === null ? '' : String(props.value);
  return (
    <input
      type="number"
      step={props.isWhole ? 1 : 'any'}
      value={typed ?? text}
      onBlur={() => setTyped(null)}
      onChange={event => {
        setTyped(event.target.value);
        const number = event.target.valueAsNumber;
        if (Number.isFinite(number)) {
          props.set(number);
        } else if (event.target.value === '' && !event.target.validity.badInput) {
          props.set(null);
        }
      }}
    />
  );
}

function AllTab(props: IPart & IInserting): JSX.Element {
  const { model, say } = props;
  const { choice } = model;
  const table = model.found?.tables.find(each => each.name === choice?.table);
  if (!choice || !table) {
    return <></>;
  }
  const step = Math.ceil(table.rows / Math.max(1, choice.rows));
  return (
    <>
      <form
        className="nbp-Fields"
        onSubmit={event => {
          event.preventDefault();
          void model.explainAll();
        }}
      >
        <label>
          {say.__('At most')}{' '}
          <input
            type="number"
            min={1}
            max={table.rows}
            value={choice.rows}
            onChange={event => model.choose({ rows: within(event.target.valueAsNumber, 1, table.rows) })}
          />{' '}
          {say.__('rows')}
        </label>
        <span>{step > 1 ? say.__('one of every %1 is taken', step) : say.__('all of them')}</span>
        <Button className="jp-mod-accept" type="submit">
          {say.__('Explain model')}
        </Button>
      </form>
      <Result {...props} shown={model.all} />
    </>
  );
}

/** An explanation, with what must be known of it and what can be done with it. */
function Result(props: IPart & IInserting & { shown: IShown | null }): JSX.Element {
  const { model, say } = props;
  const made = props.shown;
  if (!made) {
    return <></>;
  }
  const isBehind = model.tab === 'row' && model.isBehind;
  return (
    <div className={`nbp-Result${isBehind ? ' nbp-mod-behind' : ''}`} aria-busy={isBehind}>
      {isBehind && <Quiet>{say.__('The edit is being followed; this is the explanation before it.')}</Quiet>}
      {made === model.edited && model.row && (
        <Before before={model.row} output={model.view.output} say={say} />
      )}
      {made.outside.map((sentence, at) => (
        <Banner key={at} kind="warning" label={say.__('Outside the data:')}>
          {sentence}
        </Banner>
      ))}
      {made.silent && (
        <Banner kind="warning" label={say.__('LIME says nothing:')}>
          {made.silent}
        </Banner>
      )}
      <ExplanationView bundle={made.bundle} choice={model.view} choose={part => model.show(part)} say={say} />
      {made.isJudging && (
        <Quiet>{say.__('Stability is being judged: the row is explained again with other seeds.')}</Quiet>
      )}
      <p className="nbp-Fields">
        <Button onClick={() => props.insert(made.code)}>{say.__('Insert code')}</Button>
        <Button onClick={() => props.report(made.code)}>{say.__('Add to report')}</Button>
        <span>{say.__('Explained in %1.', seconds(made.seconds, say))}</span>
      </p>
    </div>
  );
}

/** What the row was answered before the edit. */
function Before(props: { before: IShown; output: string | null; say: Say }): JSX.Element {
  const [first] = props.before.bundle.explanations;
  return (
    <p className="nbp-Note nbp-Code">
      {props.say.__(
        'Before the edit the prediction was %1.',
        shown(answer(first, first.prediction, 0, props.output))
      )}
    </p>
  );
}

function SlicesTab(props: IPart): JSX.Element {
  const { model, say } = props;
  const [column, choose] = React.useState('');
  const table = model.found?.tables.find(each => each.name === model.choice?.table);
  if (!model.all || !table) {
    return (
      <Quiet>{say.__('Explain the model first: its rows are then cut by the values of a column.')}</Quiet>
    );
  }
  const columns = table.columns.length
    ? table.columns
    : Array.from({ length: Math.min(table.width, LONGEST_LIST) }, (_, at) => `feature ${at}`);
  const picked = columns.includes(column) ? column : columns[0];
  return (
    <>
      <form
        className="nbp-Fields"
        onSubmit={event => {
          event.preventDefault();
          void model.cut(picked);
        }}
      >
        <Choice
          label={say.__('Column')}
          value={picked}
          options={columns.map(each => [each, each])}
          choose={choose}
        />
        <Button className="jp-mod-accept" type="submit">
          {say.__('Compare groups')}
        </Button>
      </form>
      {model.slices && <Slices slices={model.slices} say={say} />}
    </>
  );
}

const FEATURES = 6;

function Slices(props: { slices: ISlices; say: Say }): JSX.Element {
  const { slices, say } = props;
  const groups = slices.slices.filter(each => each.is_enough);
  const few = slices.slices.filter(each => !each.is_enough);
  const size = (at: number): number => Math.max(0, ...groups.map(each => each.importance[at]?.value ?? 0));
  const order = slices.features
    .map((_, at) => at)
    .sort((one, other) => size(other) - size(one))
    .slice(0, FEATURES);
  return (
    <>
      <table className="nbp-Slices">
        <caption>{say.__('The mean answer by groups of %1, with its 95 % interval', slices.column)}</caption>
        <Head names={[slices.column, say.__('Rows'), say.__('Mean answer')]} />
        <tbody>
          {slices.slices.map(each => (
            <tr key={each.group}>
              <th scope="row">{each.group}</th>
              <td>{each.rows}</td>
              <td>
                {each.answer.value === null
                  ? each.answer.reason
                  : `${shown(each.answer.value)} (${shown(each.answer.low ?? NaN)} – ${shown(each.answer.high ?? NaN)})`}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {groups.map(each => (
        <Bars
          key={each.group}
          label={say.__('What matters where %1 is %2: mean sizes of the shares', slices.column, each.group)}
          methods={[say.__('%1: %2 (%3 rows)', slices.column, each.group, each.rows)]}
          bars={order.map(at => ({
            name: slices.features[at],
            value: '',
            shares: [each.importance[at]?.value ?? null]
          }))}
          top={Math.max(...order.map(size))}
          isSize
          say={say}
        />
      ))}
      {few.length > 0 && (
        <p className="nbp-Note nbp-Code">
          {say.__('Of groups that are too small nothing is estimated: %1.', few.length)}
        </p>
      )}
    </>
  );
}
