/** Runs side by side: what differs, their curves, their sources and their environments. */

import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import * as React from 'react';
import { h, Fragment } from '../h';
import { Head, Part } from '../parts';

import { LineChart, letter } from '../charts/line';
import { doors as allDoors, type Doors, type ICellChange, type Line } from './client';
import { Loading, useLoaded } from '../loaded';
import { Choice } from './panel';
import { toNumber, toRun, type IRun } from './rows';
import { COMMANDS } from './tokens';
import { called, duration, kindInWords, moment, stateInWords, valueInWords } from './words';

interface IPageProps {
  ids: readonly string[];
  path: string;
  commands: CommandRegistry;
  trans: TranslationBundle;
  doors?: Doors;
}

export function ComparePage(props: IPageProps): JSX.Element {
  const { ids, path, trans, doors = allDoors } = props;
  const [isAll, setAll] = React.useState(false);
  const loaded = useLoaded(() => doors.compare(path, [...ids]), [path, ids.join()]);
  const { found } = loaded;
  if (!found) {
    return <Loading loaded={loaded} trans={trans} />;
  }
  const runs = found.runs.map(toRun);
  const shared = { runs, isAll, trans };
  return (
    <div className="nbp-Compare">
      <h2>{trans.__('%1 runs compared', runs.length)}</h2>
      <Heads {...props} runs={runs} />
      <label>
        <input type="checkbox" checked={isAll} onChange={event => setAll(event.target.checked)} />{' '}
        {trans.__('Show what does not differ, too')}
      </label>
      <Lines {...shared} title={trans.__('Parameters')} lines={found.parameters} />
      <Lines {...shared} title={trans.__('Metrics')} lines={found.metrics} isNumber />
      <Curves {...props} doors={doors} runs={runs} metrics={found.metrics.map(([name]) => name)} />
      <Lines {...shared} title={trans.__('Tags')} lines={found.tags} />
      <Lines {...shared} title={trans.__('Environment')} lines={found.environment} />
      {found.packages === null ? (
        <p>
          {trans.__('The packages of at least one run are not known here, so nothing is said about them.')}
        </p>
      ) : (
        <Lines {...shared} title={trans.__('Packages that differ')} lines={found.packages} />
      )}
      <Sources {...props} doors={doors} runs={runs} />
    </div>
  );
}

function Heads(props: IPageProps & { runs: IRun[] }): JSX.Element {
  const { runs, commands, trans } = props;
  return (
    <ol className="nbp-Plain">
      {runs.map((run, number) => (
        <li key={run.id}>
          <strong>{letter(number)}</strong>{' '}
          <button
            className="nbp-Link"
            onClick={() => void commands.execute(COMMANDS.openRun, { run: run.id })}
          >
            {called(run)}
          </button>
          {` · ${kindInWords(run.kind, trans)} · ${stateInWords(run.status, trans)} · ${moment(run.start)}`}
          {run.end === null ? '' : ` · ${duration((run.end - run.start) / 1000)}`}
        </li>
      ))}
    </ol>
  );
}

/** A table of names and their value in each run; what differs is marked by a sign, not by colour alone. */
function Lines(props: {
  title: string;
  lines: Line[];
  runs: IRun[];
  isAll: boolean;
  isNumber?: boolean;
  trans: TranslationBundle;
}): JSX.Element {
  const { title, lines, runs, isAll, isNumber = false, trans } = props;
  const shown = isAll ? lines : lines.filter(line => line[1]);
  return (
    <Part title={title}>
      {!shown.length && <p>{lines.length ? trans.__('No differences.') : trans.__('None are recorded.')}</p>}
      {shown.length > 0 && (
        <div className="nbp-Scroll" tabIndex={0} role="group" aria-label={title}>
          <table className="nbp-Table">
            <Head
              names={[trans.__('Name'), ...runs.map((_, number) => letter(number))]}
              titles={['', ...runs.map(called)]}
            />
            <tbody>
              {shown.map(([name, differs, values], row) => (
                <tr key={row} className={differs ? 'nbp-mod-differs' : ''}>
                  <th scope="row">
                    {name} {differs && <span title={trans.__('differs')}>≠</span>}
                  </th>
                  {values.map((value, number) => (
                    <td key={number}>{valueInWords(value, isNumber)}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Part>
  );
}

/** The curves of one metric at a time. */
export function Curves(props: {
  doors: Doors;
  path: string;
  runs: IRun[];
  metrics: string[];
  trans: TranslationBundle;
}): JSX.Element | null {
  const { doors, path, runs, metrics, trans } = props;
  const [wanted, setWanted] = React.useState('');
  const metric = wanted || metrics[0] || '';
  const ids = runs.map(run => run.id);
  const loaded = useLoaded(
    () => (metric ? doors.history(path, ids, metric) : Promise.resolve({ metric, curves: [] })),
    [path, ids.join(), metric]
  );
  if (!metrics.length) {
    return null;
  }
  const curves = loaded.found?.metric === metric ? loaded.found.curves.slice(0, runs.length) : null;
  // Where nobody gave steps, the time since the first value tells the points apart.
  const hasSteps = curves?.some(curve => curve.some(([step]) => step !== 0)) ?? false;
  const first = Math.min(...(curves ?? []).map(curve => curve[0]?.[1] ?? Infinity));
  return (
    <Part title={trans.__('Curves')}>
      <Choice
        label={trans.__('Metric')}
        value={metric}
        options={metrics.map(name => [name, name])}
        onChoose={setWanted}
      />
      {!curves && <Loading loaded={{ found: null, error: loaded.error }} trans={trans} />}
      {curves && (
        <LineChart
          title={metric}
          across={hasSteps ? trans.__('step') : trans.__('seconds')}
          series={curves.map((curve, number) => ({
            name: called(runs[number]),
            points: curve.map(([step, at, value]) => [hasSteps ? step : (at - first) / 1000, toNumber(value)])
          }))}
          trans={trans}
        />
      )}
    </Part>
  );
}

function Sources(props: IPageProps & { doors: Doors; runs: IRun[] }): JSX.Element {
  const { runs, trans } = props;
  const [left, setLeft] = React.useState(runs[0].id);
  const [right, setRight] = React.useState(runs[1].id);
  const options = runs.map((run, number) => [run.id, `${letter(number)} ${called(run)}`] as [string, string]);
  return (
    <Part title={trans.__('Sources')}>
      <div className="nbp-Compare-sides">
        <Choice label={trans.__('From')} value={left} options={options} onChoose={setLeft} />
        <Choice label={trans.__('To')} value={right} options={options} onChoose={setRight} />
      </div>
      <Difference key={`${left} ${right}`} {...props} left={left} right={right} />
    </Part>
  );
}

function Difference(props: IPageProps & { doors: Doors; left: string; right: string }): JSX.Element | null {
  const { doors, path, left, right, trans } = props;
  const loaded = useLoaded(() => doors.source(path, left, right), [path, left, right]);
  const { found } = loaded;
  if (!found) {
    return <Loading loaded={loaded} trans={trans} />;
  }
  const changed = found.cells.filter(cell => cell.change !== 'same');
  return (
    <>
      {!found.is_whole && <p>{trans.__('The notebooks are too long: only the beginning is compared.')}</p>}
      {found.is_same && <p>{trans.__('The sources are the same.')}</p>}
      {changed.map(cell => (
        <Cell key={`${cell.left} ${cell.right}`} cell={cell} trans={trans} />
      ))}
    </>
  );
}

function Cell({ cell, trans }: { cell: ICellChange; trans: TranslationBundle }): JSX.Element {
  const where =
    cell.change === 'changed'
      ? trans.__('Cell %1, now %2, changed', cell.left, cell.right)
      : cell.change === 'added'
        ? trans.__('Cell %1 added', cell.right)
        : trans.__('Cell %1 removed', cell.left);
  return (
    <div className="nbp-Diff">
      <p>{`${where} (${cell.kind.slice(0, 20)})`}</p>
      <pre tabIndex={0} role="group" aria-label={where}>
        {cell.lines.map(([mark, line], number) => (
          <span
            key={number}
            className={mark === '+' ? 'nbp-mod-added' : mark === '-' ? 'nbp-mod-removed' : ''}
          >
            {`${mark} ${line}\n`}
          </span>
        ))}
      </pre>
    </div>
  );
}
