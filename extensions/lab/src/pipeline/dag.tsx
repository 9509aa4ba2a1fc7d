/** The pipeline drawn: one box a task. One of them takes the focus; the arrow keys lead to the others. */

import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import { h } from '../h';

import type { ITask } from './client';
import { BOX, layout, neighbour } from './layout';
import { reasonsOf } from './model';
import { Sign, progressText } from './states';

/** So many are drawn; a picture of more says nothing that the list does not say better. */
export const DRAWN = 500;
const NAME_CHARACTERS = 19;

export interface IDag {
  name: string;
  tasks: ITask[];
  selected: string | null;
  select: (task: string) => void;
  trans: TranslationBundle;
}

export function Dag(props: IDag): JSX.Element {
  const { tasks, trans, selected } = props;
  const shape = JSON.stringify(tasks.map(task => [task.name, task.upstream]));
  const found = React.useMemo(
    () => layout((JSON.parse(shape) as [string, string[]][]).map(([name, upstream]) => ({ name, upstream }))),
    [shape]
  );
  const [reached, setReached] = React.useState<string | null>(null);
  const boxes = React.useRef(new Map<string, SVGGElement>());
  const focusable =
    [reached, selected].find(name => tasks.some(task => task.name === name)) ?? tasks[0]?.name;
  const of = new Map(tasks.map(task => [task.name, task]));

  const onKeyDown = (event: React.KeyboardEvent, name: string): void => {
    if (event.key === 'Enter' || event.key === ' ') {
      event.preventDefault();
      props.select(name);
      return;
    }
    const next = neighbour(found, name, event.key);
    if (next !== name) {
      event.preventDefault();
      setReached(next);
      boxes.current.get(next)?.focus();
    }
  };

  return (
    <div className="nbp-Dag">
      <svg
        width={found.width}
        height={found.height}
        viewBox={`0 0 ${found.width} ${found.height}`}
        role="group"
        aria-label={trans.__('Tasks of %1; the arrow keys lead from one to the other', props.name)}
      >
        <defs>
          <marker
            id="nbp-Dag-tip"
            viewBox="0 0 8 8"
            refX="7"
            refY="4"
            markerWidth="7"
            markerHeight="7"
            orient="auto"
          >
            <path className="nbp-Dag-tip" d="M0,0 L8,4 L0,8 z" />
          </marker>
        </defs>
        {found.arrows.map(({ from, to, way }) => (
          <path key={`${from} ${to}`} className="nbp-Dag-arrow" d={way} markerEnd="url(#nbp-Dag-tip)" />
        ))}
        {found.places.map(({ name, x, y }) => {
          const task = of.get(name)!;
          const state = progressText(task, trans);
          const said = [name, state, ...reasonsOf(task)].join(': ');
          return (
            <g
              key={name}
              ref={node => void (node ? boxes.current.set(name, node) : boxes.current.delete(name))}
              className={`nbp-Dag-task nbp-mod-${task.state}`}
              transform={`translate(${x},${y})`}
              role="button"
              tabIndex={name === focusable ? 0 : -1}
              aria-label={said}
              aria-pressed={name === selected}
              data-task={name}
              onClick={() => props.select(name)}
              onFocus={() => setReached(name)}
              onKeyDown={event => onKeyDown(event, name)}
            >
              <title>{said}</title>
              <rect width={BOX.width} height={BOX.height} rx="4" />
              <g transform="translate(8,14)">
                <Sign state={task.state} />
              </g>
              <text x="32" y="18">
                {shortened(name)}
              </text>
              <text x="32" y="34" className="nbp-Dag-state">
                {state}
              </text>
            </g>
          );
        })}
      </svg>
    </div>
  );
}

function shortened(name: string): string {
  return name.length > NAME_CHARACTERS ? `${name.slice(0, NAME_CHARACTERS - 1)}…` : name;
}
