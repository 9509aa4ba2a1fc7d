/** The panel of a pipeline: its graph or its list, and below it the task that was chosen. Sight only. */

import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import { h } from '../h';
import { Head, Opened } from '../parts';

import { Loading, useLoaded } from '../loaded';
import { Banner, Failure, Quiet } from '../notice';
import { Button } from './button';
import type { IPipeline, IRun, ITask } from './client';
import { DRAWN, Dag } from './dag';
import { Details, lastText } from './details';
import { type PipelineModel, type Sight, counted, problemOf, reasonsOf } from './model';
import { StateMark, progressText, stateText } from './states';

export interface IPanel {
  model: PipelineModel;
  open: (path: string) => void;
  choose: (path: string) => void;
  trans: TranslationBundle;
}

export function Panel(props: IPanel): JSX.Element {
  const { model, trans } = props;
  const { view } = model;
  const whole = React.useRef<HTMLDivElement>(null);
  const errors = [model.error, model.lookError].filter(error => error !== null);
  if (!view) {
    return errors.length ? (
      <Failure error={errors[0]} />
    ) : (
      <Quiet>{trans.__('Looking at the pipeline…')}</Quiet>
    );
  }
  if (view.path === null) {
    return (
      <Quiet>
        {trans.__('There is no pipeline.yaml in this project. To start one: nbproof init DIR in a terminal.')}
      </Quiet>
    );
  }
  const problem = problemOf(view);
  const close = (): void => {
    const from = model.selected;
    model.select(null);
    const places = [...(whole.current?.querySelectorAll<HTMLElement>('[data-task]') ?? [])];
    places.find(place => place.dataset.task === from)?.focus();
  };
  return (
    <div className="nbp-Pipeline" ref={whole} aria-busy={model.isBusy}>
      <Bar {...props} view={view} />
      {errors.map((error, at) => (
        <Failure key={at} error={error} />
      ))}
      {problem && (
        <Banner kind="error" label={trans.__('Not done:')}>
          {problem.message} {problem.hint && <em>{problem.hint}</em>}
        </Banner>
      )}
      <Summary view={view} trans={trans} />
      {view.left_out > 0 && (
        <Quiet>
          {trans.__('%1 further tasks are not shown here; nbproof status shows them.', view.left_out)}
        </Quiet>
      )}
      {model.sight === 'graph' && view.tasks.length <= DRAWN ? (
        <Dag
          name={view.name}
          tasks={view.tasks}
          selected={model.selected}
          select={name => model.select(name)}
          trans={trans}
        />
      ) : (
        <List
          tasks={view.tasks}
          selected={model.selected}
          select={name => model.select(name)}
          trans={trans}
        />
      )}
      {model.task && (
        <Details model={model} task={model.task} open={props.open} close={close} trans={trans} />
      )}
      <Opened title={trans.__('Jobs')}>
        <Jobs path={view.path} model={model} trans={trans} />
      </Opened>
    </div>
  );
}

function Bar(props: IPanel & { view: IPipeline }): JSX.Element {
  const { model, view, trans } = props;
  const sights: [Sight, string][] = [
    ['graph', trans.__('Graph')],
    ['list', trans.__('List')]
  ];
  return (
    <div className="nbp-Buttons" role="group" aria-label={trans.__('Pipeline')}>
      {view.pipelines.length > 1 ? (
        <select
          aria-label={trans.__('Which pipeline')}
          value={view.path ?? ''}
          onChange={event => props.choose(event.target.value)}
        >
          {view.pipelines.map(({ path, name }) => (
            <option key={path} value={path}>
              {name}
            </option>
          ))}
        </select>
      ) : (
        <strong>{view.name}</strong>
      )}
      <Button
        isOff={model.isRunning || model.isBusy || view.problem !== null}
        onClick={() => void model.run()}
      >
        {trans.__('Run pipeline')}
      </Button>
      <Button isOff={!model.isRunning || view.run?.is_stopping} onClick={() => void model.stop()}>
        {trans.__('Stop run')}
      </Button>
      <button className="jp-Button" onClick={() => void model.refresh()}>
        {trans.__('Refresh')}
      </button>
      {sights.map(([sight, label]) => (
        <button
          key={sight}
          className="jp-Button"
          aria-pressed={model.sight === sight}
          onClick={() => model.show(sight)}
        >
          {label}
        </button>
      ))}
      <label>
        <input
          type="checkbox"
          checked={model.isForced}
          onChange={event => model.force(event.target.checked)}
        />
        {trans.__('Also what is fresh')}
      </label>
    </div>
  );
}

function Summary(props: { view: IPipeline; trans: TranslationBundle }): JSX.Element {
  const { view, trans } = props;
  const counts = counted(view.tasks).map(([state, count]) => `${count} ${stateText(state, trans)}`);
  return (
    <p role="status" className="nbp-Summary">
      {[runText(view.run, trans), counts.join(', ')].filter(Boolean).join(' · ')}
    </p>
  );
}

function runText(run: IRun | null, trans: TranslationBundle): string {
  if (!run) {
    return '';
  }
  if (run.is_running) {
    return run.is_stopping ? trans.__('run is stopping') : trans.__('run goes on');
  }
  return trans.__('run %1', run.outcome);
}

function List(props: {
  tasks: ITask[];
  selected: string | null;
  select: (task: string) => void;
  trans: TranslationBundle;
}): JSX.Element {
  const { tasks, selected, trans } = props;
  return (
    <table className="nbp-List">
      <Head
        names={[
          trans.__('Task'),
          trans.__('State'),
          trans.__('Why'),
          trans.__('Last run'),
          trans.__('Upstream')
        ]}
      />
      <tbody>
        {tasks.map(task => (
          <tr key={task.name} className={task.name === selected ? 'nbp-mod-selected' : ''}>
            <th scope="row">
              <button
                className="jp-Button"
                data-task={task.name}
                aria-pressed={task.name === selected}
                onClick={() => props.select(task.name)}
              >
                {task.name}
              </button>
            </th>
            <td>
              <StateMark state={task.state} text={progressText(task, trans)} />
            </td>
            <td>{reasonsOf(task).join('; ')}</td>
            <td>{lastText(task, trans)}</td>
            <td>{task.upstream.join(', ')}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Jobs(props: { path: string; model: PipelineModel; trans: TranslationBundle }): JSX.Element | null {
  const { path, model, trans } = props;
  const loaded = useLoaded(() => model.jobs(path), [path]);
  if (!loaded.found?.length) {
    return loaded.found ? <Quiet>{trans.__('No jobs.')}</Quiet> : <Loading loaded={loaded} trans={trans} />;
  }
  return (
    <table className="nbp-List">
      <Head names={[trans.__('Job'), trans.__('On'), trans.__('State'), trans.__('Done')]} />
      <tbody>
        {loaded.found.map(job => (
          <tr key={job.id} title={job.note}>
            <th scope="row">{job.id}</th>
            <td>{job.target}</td>
            <td>{job.state}</td>
            <td>{`${job.done}/${job.size}`}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
