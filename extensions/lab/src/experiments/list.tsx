/** A long list of runs of which only what is in sight is drawn; used with the keyboard like any list. */

import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import { h } from '../h';

import { shown } from '../charts/scale';
import { inSight, scrolledTo, seconds, type IRun } from './rows';
import { SIGN, duration, kindInWords, moment, stateInWords } from './words';

export const ROW_HEIGHT = 46;
const FIRST_HEIGHT = 600;

interface IListProps {
  runs: readonly IRun[];
  picked: readonly string[];
  metric: string;
  label: string;
  onPick: (id: string) => void;
  onOpen: (id: string) => void;
  trans: TranslationBundle;
}

export function RunList(props: IListProps): JSX.Element {
  const { runs, picked, label, onPick, onOpen } = props;
  const [cursorId, setCursorId] = React.useState('');
  const [top, setTop] = React.useState(0);
  const [height, setHeight] = React.useState(FIRST_HEIGHT);
  const box = React.useRef<HTMLDivElement>(null);
  const prefix = React.useId();
  const isPicked = React.useMemo(() => new Set(picked), [picked]);

  React.useLayoutEffect(() => {
    const node = box.current;
    if (!node || typeof ResizeObserver === 'undefined') {
      return;
    }
    const observer = new ResizeObserver(() => setHeight(node.clientHeight));
    observer.observe(node);
    return () => observer.disconnect();
  }, []);

  // The list may have become shorter than where it was scrolled to.
  React.useLayoutEffect(() => {
    if (box.current) {
      setTop(box.current.scrollTop);
    }
  }, [runs.length]);

  const found = runs.findIndex(run => run.id === cursorId);
  const cursor = Math.max(0, found);
  const { begin, end } = inSight({ top, height, rowHeight: ROW_HEIGHT, count: runs.length });

  const go = (row: number): void => {
    const to = Math.max(0, Math.min(runs.length - 1, row));
    setCursorId(runs[to].id);
    if (box.current) {
      box.current.scrollTop = scrolledTo(to, box.current.scrollTop, box.current.clientHeight, ROW_HEIGHT);
      setTop(box.current.scrollTop);
    }
  };

  const onKeyDown = (event: React.KeyboardEvent): void => {
    const page = Math.max(1, Math.floor(height / ROW_HEIGHT) - 1);
    const moves: Record<string, number> = {
      ArrowDown: found < 0 ? 0 : cursor + 1,
      ArrowUp: cursor - 1,
      PageDown: cursor + page,
      PageUp: cursor - page,
      Home: 0,
      End: runs.length - 1
    };
    if (!runs.length || event.altKey || event.metaKey || event.ctrlKey) {
      return;
    }
    if (event.key in moves) {
      go(moves[event.key]);
    } else if (event.key === ' ') {
      setCursorId(runs[cursor].id);
      onPick(runs[cursor].id);
    } else if (event.key === 'Enter') {
      onOpen(runs[cursor].id);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };

  const isCursorDrawn = found >= begin && found < end;
  return (
    <div
      className="nbp-Runs"
      ref={box}
      role="listbox"
      aria-multiselectable="true"
      aria-label={label}
      aria-activedescendant={isCursorDrawn ? `${prefix}-${cursorId}` : undefined}
      tabIndex={0}
      onKeyDown={onKeyDown}
      onScroll={event => setTop(event.currentTarget.scrollTop)}
    >
      <div role="presentation" className="nbp-Runs-all" style={{ height: runs.length * ROW_HEIGHT }}>
        {runs.slice(begin, end).map((run, index) => (
          <RunRow
            key={run.id}
            {...props}
            run={run}
            id={`${prefix}-${run.id}`}
            row={begin + index}
            isCursor={run.id === cursorId}
            isPicked={isPicked.has(run.id)}
            onClick={event => {
              setCursorId(run.id);
              if (event.ctrlKey || event.metaKey || event.shiftKey) {
                onPick(run.id);
              }
            }}
            onDoubleClick={() => onOpen(run.id)}
          />
        ))}
      </div>
    </div>
  );
}

function RunRow(
  props: IListProps & {
    run: IRun;
    id: string;
    row: number;
    isCursor: boolean;
    isPicked: boolean;
    onClick: (event: React.MouseEvent) => void;
    onDoubleClick: () => void;
  }
): JSX.Element {
  const { run, row, runs, metric, trans } = props;
  const value = run.metrics.get(metric);
  const marks = `${props.isCursor ? ' nbp-mod-cursor' : ''}${props.isPicked ? ' nbp-mod-picked' : ''}`;
  return (
    <div
      className={`nbp-Run${marks}`}
      id={props.id}
      role="option"
      aria-selected={props.isPicked}
      aria-posinset={row + 1}
      aria-setsize={runs.length}
      style={{ height: ROW_HEIGHT, top: row * ROW_HEIGHT }}
      onClick={props.onClick}
      onDoubleClick={props.onDoubleClick}
    >
      <span
        className="nbp-Run-pick"
        aria-hidden="true"
        title={trans.__('Pick for comparing')}
        onClick={event => {
          event.stopPropagation();
          props.onPick(run.id);
        }}
      >
        {props.isPicked ? '☑' : '☐'}
      </span>
      <span className="nbp-Run-name" title={run.name}>
        {run.name}
      </span>
      <span className="nbp-Run-value" title={metric}>
        {value !== undefined && <span className="nbp-Unseen">{`${metric} `}</span>}
        {value !== undefined && shown(value)}
      </span>
      <span className="nbp-Run-about">
        <span className={`nbp-State nbp-mod-${run.status}`}>
          <span aria-hidden="true">{SIGN[run.status]}</span> {stateInWords(run.status, trans)}
        </span>
        {` · ${kindInWords(run.kind, trans)} · ${moment(run.start)} · ${duration(seconds(run, Date.now()))}`}
      </span>
    </div>
  );
}
