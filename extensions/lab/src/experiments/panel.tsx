/** The panel at the side: which runs are wished for, and the list of them. */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import * as React from 'react';
import { h } from '../h';
import { Button } from '../button';

import { Failure, Quiet } from '../notice';
import { RunList } from './list';
import type { RunsModel } from './model';
import type { Kind, SortKey, Status } from './rows';
import { COMMANDS } from './tokens';
import { KINDS, LONGEST_NAME, STATES, kindInWords, stateInWords } from './words';

/** Draws again whenever the model says so. */
export function useModel(model: RunsModel): void {
  const [, again] = React.useReducer((count: number) => count + 1, 0);
  React.useEffect(() => {
    model.changed.connect(again);
    return () => {
      model.changed.disconnect(again);
    };
  }, [model]);
}

interface IPanelProps {
  model: RunsModel;
  commands: CommandRegistry;
  trans: TranslationBundle;
}

export function ExperimentsPanel(props: IPanelProps): JSX.Element {
  const { model, commands, trans } = props;
  useModel(model);
  const { shown, picked, wish } = model;
  const total = model.runs.size;
  return (
    <div className="nbp-Experiments">
      <Wishes {...props} />
      <div className="nbp-Buttons">
        <Button
          disabled={picked.length < 2}
          onClick={() => void commands.execute(COMMANDS.compare, { runs: [...picked] })}
        >
          {trans.__('Compare (%1)', picked.length)}
        </Button>
        <Button disabled={!picked.length} onClick={() => model.leaveAll()}>
          {trans.__('Clear')}
        </Button>
        <Button disabled={model.isReading} onClick={() => void model.read()}>
          {trans.__('Reload')}
        </Button>
      </div>
      {model.error !== null && <Failure error={model.error} />}
      <Quiet>
        {trans.__('%1 of %2 runs', shown.length.toLocaleString(), total.toLocaleString())}
        {model.isReading ? ` · ${trans.__('reading…')}` : ''}
        {model.isCut && !model.isReading ? ` · ${trans.__('the newest; there are more')}` : ''}
      </Quiet>
      <StoreSearch {...props} />
      {!shown.length && !model.isReading && model.error === null && <Empty {...props} />}
      <RunList
        runs={shown}
        picked={picked}
        metric={wish.metric || model.metrics[0] || ''}
        label={trans.__('Runs: space picks for comparing, Enter opens')}
        onPick={id => model.pick(id)}
        onOpen={id => void commands.execute(COMMANDS.openRun, { run: id })}
        trans={trans}
      />
    </div>
  );
}

function Wishes({ model, trans }: IPanelProps): JSX.Element {
  const { wish } = model;
  return (
    <div className="nbp-Experiments-wishes">
      <input
        className="jp-mod-styled nbp-mod-wide"
        type="search"
        value={wish.search}
        placeholder={trans.__('Find: words, depth=4, auc>0.9')}
        aria-label={trans.__(
          'Find runs by words in names, parameters and tags, or by a metric as in auc>0.9'
        )}
        onChange={event => model.want({ search: event.target.value.slice(0, 1000) })}
      />
      <Choice
        label={trans.__('Runs of')}
        value={model.isOfNotebook ? 'notebook' : 'project'}
        options={[
          ['project', trans.__('the project')],
          ['notebook', trans.__('this notebook')]
        ]}
        onChoose={value => model.wantOfNotebook(value === 'notebook')}
      />
      <Choice
        label={trans.__('Kind')}
        value={wish.kind}
        options={[
          ['', trans.__('all kinds')],
          ...KINDS.map(kind => [kind, kindInWords(kind, trans)] as [string, string])
        ]}
        onChoose={kind => model.want({ kind: kind as Kind | '' })}
      />
      <Choice
        label={trans.__('State')}
        value={wish.status}
        options={[
          ['', trans.__('all states')],
          ...STATES.map(state => [state, stateInWords(state, trans)] as [string, string])
        ]}
        onChoose={status => model.want({ status: status as Status | '' })}
      />
      {model.experiments.length > 1 && (
        <Choice
          label={trans.__('Experiment')}
          value={model.experiment}
          options={[
            ['', trans.__('of the project')],
            ...model.experiments.map(name => [name, name.slice(0, LONGEST_NAME)] as [string, string])
          ]}
          onChoose={name => void model.choose(name)}
        />
      )}
      <Choice
        label={trans.__('Metric')}
        value={wish.metric || model.metrics[0] || ''}
        options={model.metrics.map(name => [name, name])}
        onChoose={metric => model.want({ metric })}
      />
      <Choice
        label={trans.__('Sort by')}
        value={wish.sort}
        options={[
          ['start', trans.__('start')],
          ['name', trans.__('name')],
          ['seconds', trans.__('time taken')],
          ['status', trans.__('state')],
          ['metric', trans.__('the metric')]
        ]}
        onChoose={sort =>
          model.want({ sort: sort as SortKey, metric: wish.metric || model.metrics[0] || '' })
        }
      />
      <Choice
        label={trans.__('Order')}
        value={wish.isRising ? 'rising' : 'falling'}
        options={[
          ['falling', trans.__('highest first')],
          ['rising', trans.__('lowest first')]
        ]}
        onChoose={order => model.want({ isRising: order === 'rising' })}
      />
    </div>
  );
}

/** What the list does not hold, or holds in part, only the store can be searched for. */
function StoreSearch({ model, trans }: IPanelProps): JSX.Element | null {
  const [said, setSaid] = React.useState('');
  const isPartial = model.isCut || [...model.runs.values()].some(run => run.isCut);
  if (!isPartial || !model.wish.search || model.isReading) {
    return null;
  }
  const search = async (): Promise<void> => {
    setSaid(trans.__('searching…'));
    try {
      const more = await model.searchStore();
      setSaid(trans._n('one more found', '%1 more found', more));
    } catch (error) {
      setSaid(error instanceof Error ? error.message.slice(0, LONGEST_NAME) : String(error));
    }
  };
  return (
    <p className="nbp-Experiments-store">
      {trans.__('Some runs, or some of their values, are not in this list.')}{' '}
      <Button onClick={() => void search()}>{trans.__('Search the store')}</Button>{' '}
      <span role="status">{said}</span>
    </p>
  );
}

function Empty({ model, trans }: IPanelProps): JSX.Element {
  if (model.isOfNotebook && !model.notebook) {
    return <p>{trans.__('Open a notebook to see its runs.')}</p>;
  }
  return (
    <p>
      {model.runs.size
        ? trans.__('No run is like that.')
        : trans.__('No runs yet. Run a pipeline, or a notebook: nbproof run')}
    </p>
  );
}

export function Choice(props: {
  label: string;
  value: string;
  options: [string, string][];
  onChoose: (value: string) => void;
}): JSX.Element {
  return (
    <label className="nbp-Choice">
      <span>{props.label}</span>
      <select
        className="jp-mod-styled"
        value={props.value}
        onChange={event => props.onChoose(event.target.value)}
      >
        {props.options.map(([value, label]) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
      </select>
    </label>
  );
}
