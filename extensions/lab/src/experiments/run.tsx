/** One run: what it was asked and what came of it, its note and its tags, its notebook. */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import * as React from 'react';
import { h } from '../h';
import { Part } from '../parts';
import { Button } from '../button';

import { Banner, Failure } from '../notice';
import { doors as allDoors, type Doors, type IWhole } from './client';
import { Curves } from './compare';
import { Loading, useLoaded } from '../loaded';
import { toRun } from './rows';
import { COMMANDS } from './tokens';
import { LONGEST_TEXT, called, duration, kindInWords, moment, stateInWords, valueInWords } from './words';

const LONGEST_NOTE = 8000;

export interface IRunPageProps {
  id: string;
  path: string;
  /** Grows when the run may have changed. */
  version: number;
  commands: CommandRegistry;
  trans: TranslationBundle;
  doors?: Doors;
}

export function RunPage(props: IRunPageProps): JSX.Element {
  const { id, path, version, commands, trans, doors = allDoors } = props;
  const [own, again] = React.useReducer((count: number) => count + 1, 0);
  const loaded = useLoaded(() => doors.run(path, id), [path, id, version, own]);
  const { found } = loaded;
  if (!found) {
    return <Loading loaded={loaded} trans={trans} />;
  }
  const run = toRun(found.row);
  return (
    <div className="nbp-RunPage">
      <h2>{called(run)}</h2>
      <p>
        {`${kindInWords(run.kind, trans)} · ${stateInWords(run.status, trans)} · ${moment(run.start)}`}
        {run.end === null ? '' : ` · ${duration((run.end - run.start) / 1000)}`}
        {` · ${found.experiment}`}
      </p>
      <div className="nbp-Buttons">
        <Button onClick={() => void commands.execute(COMMANDS.openNotebook, { run: id })}>
          {trans.__('Open executed notebook')}
        </Button>
        <Button onClick={() => void commands.execute(COMMANDS.restore, { run: id })}>
          {trans.__('Restore notebook and parameters')}
        </Button>
        {run.parent && (
          <Button onClick={() => void commands.execute(COMMANDS.openRun, { run: run.parent })}>
            {trans.__('Open the run around it')}
          </Button>
        )}
      </div>
      <Note {...props} doors={doors} found={found} onSaved={again} />
      <Tags {...props} doors={doors} found={found} onSaved={again} />
      <Pairs title={trans.__('Parameters')} pairs={found.parameters} trans={trans} />
      <Pairs
        title={trans.__('Metrics')}
        pairs={found.metrics.map(([name, value]) => [name, valueInWords(value, true)])}
        trans={trans}
      />
      <Curves
        doors={doors}
        path={path}
        runs={[run]}
        metrics={found.metrics.map(([name]) => name)}
        trans={trans}
      />
      <Nested {...props} found={found} />
      <Pairs title={trans.__('Environment')} pairs={found.environment} trans={trans} />
      <Pairs
        title={trans.__('Files')}
        pairs={found.files.map(([name, size]) => [name, trans.__('%1 bytes', size.toLocaleString())])}
        trans={trans}
      />
      {found.files_problem && (
        <Banner kind="warning" label={trans.__('Files')}>
          {found.files_problem.slice(0, LONGEST_TEXT)}
        </Banner>
      )}
      <Pairs title={trans.__('What nbproof wrote down')} pairs={found.about} trans={trans} />
    </div>
  );
}

function Pairs(props: {
  title: string;
  pairs: [string, string][];
  trans: TranslationBundle;
}): JSX.Element | null {
  const { title, pairs } = props;
  if (!pairs.length) {
    return null;
  }
  return (
    <Part title={title}>
      <div className="nbp-Scroll" tabIndex={0} role="group" aria-label={title}>
        <table className="nbp-Table">
          <tbody>
            {pairs.map(([name, value], number) => (
              <tr key={number}>
                <th scope="row">{name.slice(0, LONGEST_TEXT)}</th>
                <td>{value.slice(0, LONGEST_TEXT)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Part>
  );
}

function Nested({ found, commands, trans }: IRunPageProps & { found: IWhole }): JSX.Element | null {
  if (!found.children.length) {
    return null;
  }
  const children = found.children.map(toRun);
  return (
    <Part title={trans.__('Runs nested in it')}>
      <ul>
        {children.map(child => (
          <li key={child.id}>
            <button
              className="nbp-Link"
              onClick={() => void commands.execute(COMMANDS.openRun, { run: child.id })}
            >
              {called(child)}
            </button>
            {` · ${kindInWords(child.kind, trans)} · ${stateInWords(child.status, trans)}`}
          </li>
        ))}
      </ul>
    </Part>
  );
}

type IEditorProps = IRunPageProps & { doors: Doors; found: IWhole; onSaved: () => void };

/** Carries out a change; what went wrong is shown beside the editor, whose text stays. */
function useSaving(onSaved: () => void): [unknown, (change: () => Promise<unknown>) => void] {
  const [error, setError] = React.useState<unknown>(null);
  const save = (change: () => Promise<unknown>): void => {
    setError(null);
    change().then(onSaved, setError);
  };
  return [error, save];
}

function Note(props: IEditorProps): JSX.Element {
  const { id, path, doors, found, onSaved, trans } = props;
  const [text, setText] = React.useState(found.note);
  const [base, setBase] = React.useState(found.note);
  // A note that was changed elsewhere does not take away what is being written here.
  if (base !== found.note) {
    setBase(found.note);
    setText(text === base ? found.note : text);
  }
  const [error, save] = useSaving(onSaved);
  if (!found.is_note_whole) {
    return (
      <Part title={trans.__('Note')}>
        <p>{trans.__('It is too long to be changed here; this is its beginning.')}</p>
        <pre className="nbp-Note nbp-Code">{found.note}</pre>
      </Part>
    );
  }
  return (
    <Part title={trans.__('Note')}>
      <textarea
        className="nbp-Note nbp-Code jp-mod-styled"
        value={text}
        rows={4}
        maxLength={LONGEST_NOTE}
        aria-label={trans.__('Note')}
        onChange={event => setText(event.target.value)}
      />
      <Button disabled={text === found.note} onClick={() => save(() => doors.note(path, id, text))}>
        {trans.__('Save note')}
      </Button>
      {error !== null && <Failure error={error} />}
    </Part>
  );
}

function Tags(props: IEditorProps): JSX.Element {
  const { id, path, doors, found, onSaved, trans } = props;
  const [name, setName] = React.useState('');
  const [value, setValue] = React.useState('');
  const [error, save] = useSaving(onSaved);
  const add = (event: React.FormEvent): void => {
    event.preventDefault();
    save(() => doors.tag(path, id, name.trim(), value));
  };
  return (
    <Part title={trans.__('Tags')}>
      <ul className="nbp-Tags nbp-Plain">
        {found.tags.map(([tag, held]) => (
          <li key={tag}>
            {`${tag} = ${held}`.slice(0, LONGEST_TEXT)}{' '}
            <Button
              aria-label={trans.__('Remove tag %1', tag.slice(0, 80))}
              onClick={() => save(() => doors.tag(path, id, tag, null))}
            >
              ×
            </Button>
          </li>
        ))}
      </ul>
      <form className="nbp-Buttons" onSubmit={add}>
        <input
          className="jp-mod-styled"
          value={name}
          placeholder={trans.__('name')}
          aria-label={trans.__('Name of the tag')}
          onChange={event => setName(event.target.value)}
        />
        <input
          className="jp-mod-styled"
          value={value}
          placeholder={trans.__('value')}
          aria-label={trans.__('Value of the tag')}
          onChange={event => setValue(event.target.value)}
        />
        <Button type="submit" disabled={!name.trim()}>
          {trans.__('Set tag')}
        </Button>
      </form>
      {error !== null && <Failure error={error} />}
    </Part>
  );
}
