import { nullTranslator } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';
import { h } from '../h';
import { act } from 'react';
import { createRoot, type Root } from 'react-dom/client';

import { LineChart, path } from '../charts/line';
import type { Doors, ICompared, IWhole } from './client';
import { ComparePage } from './compare';
import { RunList } from './list';
import { toRun, type IRun, type Row } from './rows';
import { RunPage } from './run';

const EVIL = '<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>';
const LONG = 'x'.repeat(1_000_000);
const trans = nullTranslator.load('nbproof');
const commands = new CommandRegistry();

(globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;

let node: HTMLElement;
let root: Root;

beforeEach(() => {
  node = document.createElement('div');
  document.body.append(node);
  root = createRoot(node);
});

afterEach(() => {
  act(() => root.unmount());
  node.remove();
});

async function draw(element: JSX.Element): Promise<void> {
  await act(async () => root.render(element));
}

function row(id: string, name = id): Row {
  return [
    id,
    name,
    'own',
    'done',
    1000,
    3000,
    EVIL,
    EVIL,
    '',
    EVIL,
    [[EVIL, 'NaN']],
    [[EVIL, EVIL]],
    [[EVIL, EVIL]],
    false
  ];
}

function runs(count: number): IRun[] {
  return Array.from({ length: count }, (_, number) => toRun(row(`id${number}`)));
}

function isInert(): void {
  expect(node.querySelectorAll('img, script, iframe, object, foreignObject, [onerror]').length).toBe(0);
  expect('hurt' in window).toBe(false);
}

const HOSTILE = {
  compare: async (): Promise<ICompared> => ({
    runs: [row('a', EVIL), row('b', LONG)],
    parameters: [[EVIL, true, [EVIL, LONG]]],
    metrics: [['auc', true, ['Infinity', null]]],
    tags: [[EVIL, true, [null, EVIL]]],
    environment: [],
    packages: null
  }),
  history: async () => ({
    metric: 'auc',
    curves: [[[0, 1, 'NaN'], [1, 2, 0.5]], [[0, 1, 1e300], [1, 2, '-Infinity']]] // prettier-ignore
  }),
  source: async () => ({
    is_same: false,
    is_whole: true,
    cells: [{ change: 'changed', kind: EVIL, left: 1, right: 1, lines: [['-', EVIL], ['+', '</span>']] }] // prettier-ignore
  }),
  run: async (): Promise<IWhole> => ({
    row: row('a', EVIL),
    experiment: EVIL,
    note: EVIL,
    is_note_whole: true,
    parameters: [[EVIL, LONG]],
    metrics: [['auc', 'NaN']],
    tags: [[EVIL, EVIL]],
    environment: [[EVIL, EVIL]],
    about: [[EVIL, EVIL]],
    files: [[EVIL, 3]],
    files_problem: EVIL,
    children: [row('c', EVIL)]
  })
} as unknown as Doors;

describe('hostile records', () => {
  it('are drawn as text in a comparison, cut, and never as markup', async () => {
    await draw(<ComparePage ids={['a', 'b']} path="" commands={commands} trans={trans} doors={HOSTILE} />);

    isInert();
    expect(node.textContent).toContain(EVIL);
    expect(node.textContent!.length).toBeLessThan(30_000);
    expect(node.textContent).toContain('∞');
    expect(node.querySelectorAll('svg path').length).toBeGreaterThan(0);
    expect(node.innerHTML).not.toMatch(/d="[^"]*NaN/);
  });

  it('are drawn as text on the page of a run', async () => {
    await draw(<RunPage id="a" path="" version={0} commands={commands} trans={trans} doors={HOSTILE} />);

    isInert();
    expect(node.querySelector('textarea')!.value).toBe(EVIL);
    expect(node.textContent!.length).toBeLessThan(30_000);
  });

  it('are drawn as text in the list', async () => {
    const made = toRun(row('a', EVIL));
    await draw(
      <RunList
        runs={[made]}
        picked={[]}
        metric={EVIL}
        label="runs"
        onPick={jest.fn()}
        onOpen={jest.fn()}
        trans={trans}
      />
    );

    isInert();
    expect(node.textContent).toContain(EVIL);
  });
});

describe('the list', () => {
  const onPick = jest.fn();
  const onOpen = jest.fn();
  const list = (found: IRun[], picked: string[] = []): JSX.Element => (
    <RunList
      runs={found}
      picked={picked}
      metric=""
      label="runs"
      onPick={onPick}
      onOpen={onOpen}
      trans={trans}
    />
  );
  const press = (key: string): void => {
    act(() => {
      node
        .querySelector('[role=listbox]')!
        .dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
    });
  };
  const active = (): Element | null => {
    const id = node.querySelector('[role=listbox]')!.getAttribute('aria-activedescendant');
    return id ? document.getElementById(id) : null;
  };

  it('draws few of many, and says how many there are', async () => {
    await draw(list(runs(10_000), ['id3']));

    const drawn = [...node.querySelectorAll('[role=option]')];
    expect(drawn.length).toBeLessThan(40);
    expect(drawn[3].getAttribute('aria-posinset')).toBe('4');
    expect(drawn[3].getAttribute('aria-setsize')).toBe('10000');
    expect(drawn.map(option => option.getAttribute('aria-selected')).indexOf('true')).toBe(3);
  });

  it('is walked, picked from and opened with the keyboard', async () => {
    await draw(list(runs(3)));

    press('ArrowDown');
    press('ArrowDown');
    expect(active()!.textContent).toContain('id1');
    press(' ');
    expect(onPick).toHaveBeenLastCalledWith('id1');
    press('End');
    press('Enter');
    expect(onOpen).toHaveBeenLastCalledWith('id2');
    press('ArrowDown');
    expect(active()!.textContent).toContain('id2');
    press('Home');
    press('ArrowUp');
    expect(active()!.textContent).toContain('id0');
  });

  it('keeps its place at a run when others come before it', async () => {
    const found = runs(3);
    await draw(list(found));
    press('End');

    await draw(list([...runs(10).slice(5), ...found]));

    expect(active()!.textContent).toContain('id2');
  });
});

describe('curves', () => {
  it('are broken where a value is no number', () => {
    const same = (value: number): number => value;
    expect(path([[0, 1], [1, NaN], [2, 3], [3, 4]], same, same)).toBe('M0.0,1.0M2.0,3.0L3.0,4.0'); // prettier-ignore
  });

  it('have a name, letters and a table', async () => {
    const series = [{ name: 'one', points: [[0, 0.5], [1, Infinity]] as [number, number][] }]; // prettier-ignore
    await draw(<LineChart title="loss" across="step" series={series} trans={trans} />);

    expect(node.querySelector('svg[role=img]')!.getAttribute('aria-label')).toBe('loss by step, of A one');
    expect(node.textContent).toContain('One value is not a finite number');
    const details = node.querySelector('details')!;
    await act(async () => {
      details.open = true;
      details.dispatchEvent(new Event('toggle'));
    });
    expect([...node.querySelectorAll('td')].map(cell => cell.textContent)).toEqual(['0.5', '∞']);
  });
});
