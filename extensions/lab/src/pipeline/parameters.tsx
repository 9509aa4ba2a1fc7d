/** The parameters of a task as a form: what the pipeline gives, what the user typed, what the server says of it. */

import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import { h } from '../h';

import type { ITask } from './client';
import { type IContract, type IField, fieldsOf } from './form';

const DELAY_MS = 300;

export interface IParameters {
  task: ITask;
  contract: IContract;
  typed: Record<string, string>;
  problems: Record<string, string>;
  type: (name: string, text: string | undefined) => void;
  trans: TranslationBundle;
}

export function Parameters(props: IParameters): JSX.Element {
  const { task, contract, trans, typed } = props;
  const fields = fieldsOf(contract, task.parameters, trans);
  const count = Object.keys(typed).length;
  if (!fields.length) {
    return <p>{trans.__('This notebook declares no parameters.')}</p>;
  }
  return (
    <form className="nbp-Parameters" onSubmit={event => event.preventDefault()}>
      {fields.map(field => (
        <Field
          key={`${task.name} ${field.name}`}
          id={`nbp-parameter-${field.name}`}
          field={field}
          typed={typed[field.name]}
          problem={props.problems[field.name] ?? ''}
          type={text => props.type(field.name, text)}
          trans={trans}
        />
      ))}
      {count > 0 && (
        <p role="status">
          {trans._n(
            '%1 value differs from the pipeline, and counts for each run from this panel.',
            '%1 values differ from the pipeline, and count for each run from this panel.',
            count
          )}
        </p>
      )}
    </form>
  );
}

interface IFieldProps {
  id: string;
  field: IField;
  typed: string | undefined;
  problem: string;
  type: (text: string | undefined) => void;
  trans: TranslationBundle;
}

function Field(props: IFieldProps): JSX.Element {
  const { id, field, problem, trans } = props;
  const [text, setText] = React.useState(props.typed ?? field.value);
  const timer = React.useRef<number>();
  React.useEffect(() => () => window.clearTimeout(timer.current), []);
  // What was taken back elsewhere, or changed in the pipeline, shows here.
  React.useEffect(() => setText(props.typed ?? field.value), [props.typed, field.value]);

  const change = (value: string, delay = DELAY_MS): void => {
    setText(value);
    window.clearTimeout(timer.current);
    timer.current = window.setTimeout(() => props.type(value === field.value ? undefined : value), delay);
  };
  const shared = {
    id,
    'aria-invalid': problem !== '',
    'aria-describedby': problem ? `${id}-hint ${id}-problem` : `${id}-hint`,
    'aria-required': field.isRequired
  };
  return (
    <div className="nbp-Parameters-field">
      <label htmlFor={id}>{field.name}</label>
      {field.kind === 'choice' ? (
        <select {...shared} value={text} onChange={event => change(event.target.value, 0)}>
          {!field.choices.includes(text) && <option value={text}>{text}</option>}
          {field.choices.map(choice => (
            <option key={choice} value={choice}>
              {choice}
            </option>
          ))}
        </select>
      ) : field.kind === 'switch' ? (
        <input
          {...shared}
          type="checkbox"
          checked={text === 'true'}
          onChange={event => change(String(event.target.checked), 0)}
        />
      ) : (
        <input
          {...shared}
          type="text"
          autoComplete="off"
          spellCheck={false}
          value={text}
          onChange={event => change(event.target.value)}
        />
      )}
      {props.typed !== undefined && (
        <button
          type="button"
          className="jp-Button"
          aria-label={trans.__('Take %1 back to %2', field.name, field.value)}
          onClick={() => {
            window.clearTimeout(timer.current);
            setText(field.value);
            props.type(undefined);
          }}
        >
          {trans.__('Take back')}
        </button>
      )}
      <span id={`${id}-hint`} className="nbp-Parameters-hint">
        {[field.description, field.expected].filter(Boolean).join(' · ')}
      </span>
      {problem && (
        <span id={`${id}-problem`} className="nbp-Parameters-problem" role="alert">
          {problem}
        </span>
      )}
    </div>
  );
}
