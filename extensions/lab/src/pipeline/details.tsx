/** One task in full: why it is as it is, what it reads and makes, what it said, and what can be done with it. */

import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import { h, Fragment } from '../h';

import { Failure } from '../notice';
import { Button } from './button';
import type { ITask } from './client';
import { type PipelineModel, reasonsOf } from './model';
import { Parameters } from './parameters';
import { StateMark, progressText } from './states';

export interface IDetails {
  model: PipelineModel;
  task: ITask;
  open: (path: string) => void;
  close: () => void;
  trans: TranslationBundle;
}

export function Details(props: IDetails): JSX.Element {
  const { model, task, trans } = props;
  const heading = React.useRef<HTMLHeadingElement>(null);
  // Who opens it by the keyboard is led into it, and Escape leads back.
  React.useEffect(() => heading.current?.focus(), [task.name]);
  const contract = task.notebook === null ? undefined : model.contracts.get(task.notebook);
  const reasons = reasonsOf(task);
  return (
    <section
      className="nbp-Details"
      aria-labelledby="nbp-Details-title"
      onKeyDown={event => {
        if (event.key === 'Escape') {
          event.stopPropagation();
          props.close();
        }
      }}
    >
      <h3 id="nbp-Details-title" ref={heading} tabIndex={-1}>
        {task.name}
      </h3>
      <p>
        <StateMark state={task.state} text={progressText(task, trans)} />
      </p>
      {reasons.length > 0 && (
        <ul aria-label={trans.__('Reasons')}>
          {reasons.map((reason, at) => (
            <li key={at}>{reason}</li>
          ))}
        </ul>
      )}
      <Buttons {...props} />
      <Facts {...props} />
      <details>
        <summary>{trans.__('Parameters')}</summary>
        {task.notebook === null ? (
          <p>{trans.__('The notebook lies outside of the folder that the server shows.')}</p>
        ) : contract === undefined ? (
          <p>{trans.__('Reading the notebook…')}</p>
        ) : contract instanceof Error ? (
          <Failure error={contract} />
        ) : (
          <Parameters
            task={task}
            contract={contract}
            typed={model.typed[task.name] ?? {}}
            problems={model.problems[task.name] ?? {}}
            type={(name, text) => void model.type(task.name, name, text)}
            trans={trans}
          />
        )}
      </details>
      <Output model={model} task={task} trans={trans} />
    </section>
  );
}

function Buttons(props: IDetails): JSX.Element {
  const { model, task, open, trans } = props;
  const hasExecuted = task.executed !== null || task.last?.has_notebook === true;
  return (
    <div className="nbp-Buttons" role="group" aria-label={trans.__('What to do with %1', task.name)}>
      <Button isOff={model.isRunning || model.isBusy} onClick={() => void model.run({ task: task.name })}>
        {trans.__('Run')}
      </Button>
      <Button
        isOff={model.isRunning || model.isBusy}
        onClick={() => void model.run({ task: task.name, downstream: true })}
      >
        {trans.__('Run from here')}
      </Button>
      <Button isOff={!model.isRunning} onClick={() => void model.stop()}>
        {trans.__('Stop')}
      </Button>
      <Button isOff={task.notebook === null} onClick={() => open(task.notebook!)}>
        {trans.__('Open notebook')}
      </Button>
      <Button
        isOff={!hasExecuted}
        onClick={async () => {
          const path = await model.executed(task);
          if (path !== null) {
            open(path);
          }
        }}
      >
        {trans.__('Open executed notebook')}
      </Button>
      <button className="jp-Button" onClick={props.close}>
        {trans.__('Close')}
      </button>
    </div>
  );
}

function Facts(props: IDetails): JSX.Element {
  const { model, task, open, trans } = props;
  return (
    <dl className="nbp-Facts">
      <dt>{trans.__('Last run')}</dt>
      <dd>{lastText(task, trans)}</dd>
      <dt>{trans.__('Upstream')}</dt>
      <dd>
        {task.upstream.length === 0
          ? trans.__('none')
          : task.upstream.map(name => (
              <button key={name} className="jp-Button" onClick={() => model.select(name)}>
                {name}
              </button>
            ))}
      </dd>
      <dt>{trans.__('Products')}</dt>
      <dd>
        {task.products.map(({ key, path, file, exists }) => (
          <Button
            key={key}

            isOff={path === null || !exists}
            onClick={() => open(path!)}
          >
            {exists ? `${key}: ${file}` : trans.__('%1: %2 (not there)', key, file)}
          </Button>
        ))}
      </dd>
    </dl>
  );
}

export function lastText(task: ITask, trans: TranslationBundle): string {
  if (!task.last) {
    return trans.__('never');
  }
  const { at, outcome, elapsed_s } = task.last;
  const when = Number.isFinite(at) ? new Date(at * 1000).toLocaleString() : '';
  return elapsed_s > 0
    ? trans.__('%1, %2 in %3 s', when, outcome, elapsed_s.toFixed(1))
    : trans.__('%1, %2', when, outcome);
}

function Output(props: { model: PipelineModel; task: ITask; trans: TranslationBundle }): JSX.Element {
  const { model, task, trans } = props;
  const said = model.said(task.name);
  const box = React.useRef<HTMLPreElement>(null);
  const atEnd = React.useRef(true);
  // It follows the end as long as one looks at the end.
  React.useLayoutEffect(() => {
    if (box.current && atEnd.current) {
      box.current.scrollTop = box.current.scrollHeight;
    }
  }, [said]);
  const isCut = model.output.lost || (model.log?.task === task.name && model.log.isCut);
  return (
    <>
      <h4>{trans.__('Output')}</h4>
      {isCut && said && <p>{trans.__('Only the end is shown; the log of the run has all of it.')}</p>}
      <pre
        ref={box}
        className="nbp-Output nbp-Code"
        role="log"
        tabIndex={0}
        aria-label={trans.__('Output of %1', task.name)}
        onScroll={() => {
          const { scrollTop, scrollHeight, clientHeight } = box.current!;
          atEnd.current = scrollHeight - scrollTop - clientHeight < 8;
        }}
      >
        {said || trans.__('It has said nothing.')}
      </pre>
    </>
  );
}
