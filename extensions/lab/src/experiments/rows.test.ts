import {
  belongs,
  chosen,
  inSight,
  metricNames,
  parse,
  scrolledTo,
  seconds,
  sorted,
  toRun,
  type IRun,
  type IWish,
  type Row
} from './rows';

const WISH: IWish = {
  search: '',
  kind: '',
  status: '',
  of: null,
  sort: 'start',
  metric: 'auc',
  isRising: false
};

function row(
  id: string,
  more: Partial<Record<'name' | 'parent' | 'source' | 'task' | 'notebook', string>> = {}
): Row {
  const { name = `run ${id}`, parent = '', source = '', task = '', notebook = '' } = more;
  return [id, name, 'own', 'done', 1000, 3000, notebook, task, parent, source, [], [], [], false];
}

function run(id: string, more: Partial<IRun> = {}): IRun {
  const made = { ...toRun(row(id)), ...more };
  return { ...made, text: made.text + made.name.toLowerCase() };
}

function ids(runs: readonly IRun[]): string {
  return runs.map(({ id }) => id).join('');
}

function all(...runs: IRun[]): Map<string, IRun> {
  return new Map(runs.map(made => [made.id, made]));
}

describe('a row', () => {
  it('becomes a run whose numbers may be none', () => {
    const made = toRun([
      'a', 'A', 'task', 'failed', 1000, null, 'n.ipynb', 'training', 'p', 's',
      [['auc', 0.5], ['loss', 'NaN'], ['gain', '-Infinity']], [['depth', '4']], [['team', 'Risk']], true
    ]); // prettier-ignore

    expect([...made.metrics]).toEqual([['auc', 0.5], ['loss', NaN], ['gain', -Infinity]]); // prettier-ignore
    expect(made.text).toBe('a\na\nn.ipynb\ntraining\ns\ndepth=4\nteam=risk');
    expect(seconds(made, 3500)).toBe(2.5);
  });
});

describe('the order of runs', () => {
  const runs = [
    run('a', { start: 1, metrics: new Map([['auc', 0.5]]) }),
    run('b', { start: 2, metrics: new Map([['auc', NaN]]) }),
    run('c', { start: 3, metrics: new Map([['auc', 0.9]]) }),
    run('d', { start: 4 })
  ];

  it('is newest first', () => {
    expect(ids(sorted(runs, WISH, 0))).toBe('dcba');
    expect(ids(sorted(runs, { ...WISH, isRising: true }, 0))).toBe('abcd');
  });

  it('puts runs without a number last, whichever way', () => {
    expect(ids(sorted(runs, { ...WISH, sort: 'metric' }, 0))).toBe('cadb');
    expect(ids(sorted(runs, { ...WISH, sort: 'metric', isRising: true }, 0))).toBe('acdb');
  });

  it('does not depend on the order in which they came', () => {
    const same = [run('x'), run('z'), run('y')];
    for (const sort of ['start', 'name', 'seconds', 'status', 'metric'] as const) {
      const wish = { ...WISH, sort };
      expect(ids(sorted([...same].reverse(), wish, 0))).toBe(ids(sorted(same, wish, 0)));
    }
  });
});

describe('finding runs', () => {
  const few = all(
    run('a', { name: 'gradient boosting', metrics: new Map([['AUC', 0.95]]), status: 'failed' }),
    run('b', { name: 'logistic', metrics: new Map([['AUC', 0.7]]), kind: 'task' })
  );
  const found = (wish: Partial<IWish>): string => ids(chosen([...few.values()], { ...WISH, ...wish }, few));

  it.each([
    [{}, 'ab'],
    [{ search: 'boost GRADIENT' }, 'a'],
    [{ search: '"gradient boosting"' }, 'a'],
    [{ search: '"boosting gradient"' }, ''],
    [{ search: 'auc>0.9' }, 'a'],
    [{ search: 'auc<=.7' }, 'b'],
    [{ search: 'auc>0.9 logistic' }, ''],
    [{ search: 'loss>0' }, ''],
    [{ kind: 'task' as const }, 'b'],
    [{ status: 'failed' as const }, 'a']
  ])('%j finds %s', (wish, expected) => {
    expect(found(wish)).toBe(expected);
  });

  it('takes a comparison that is none for a word', () => {
    expect(parse('a>b x "auc>1" loss>=1e-3')).toMatchObject({
      words: ['a>b', 'x', 'auc>1'],
      comparisons: [{ metric: 'loss' }]
    });
  });
});

describe('a notebook’s runs', () => {
  const pipeline = toRun(row('p', { source: 'credit/pipeline.yaml' }));
  const other = toRun(row('q', { source: 'other/pipeline.yaml' }));
  const task: IRun = { ...toRun(row('t', { parent: 'p', task: 'fit' })), kind: 'task' };
  const namesake: IRun = { ...toRun(row('u', { parent: 'q', task: 'fit' })), kind: 'task' };
  const child = toRun(row('c', { parent: 't' }));
  const session = toRun(row('s', { notebook: 'notebooks/fit.ipynb' }));
  const circle = toRun(row('o', { parent: 'o' }));
  const runs = all(pipeline, other, task, namesake, child, session, circle);
  const of = {
    notebook: 'notebooks/fit.ipynb',
    tasks: [['credit/pipeline.yaml', 'fit']] as [string, string][]
  };

  it('are its sessions, its tasks in a pipeline, and what is nested in them', () => {
    expect(ids([...runs.values()].filter(made => belongs(made, of, runs)))).toBe('tcs');
  });
});

describe('what is in sight', () => {
  it('covers all that can be seen, and never more than there is', () => {
    for (let number = 0; number < 500; number++) {
      const count = Math.floor(Math.random() * 10_000);
      const height = Math.floor(Math.random() * 900);
      const top = Math.floor(Math.random() * (count * 46 + 400)) - 200;
      const { begin, end } = inSight({ top, height, rowHeight: 46, count });

      expect(begin).toBeGreaterThanOrEqual(0);
      expect(end).toBeLessThanOrEqual(count);
      expect(begin).toBeLessThanOrEqual(end);
      expect(end - begin).toBeLessThanOrEqual(Math.ceil(height / 46) + 18);
      for (const place of [Math.max(0, top), Math.max(0, top) + height - 1]) {
        const seen = Math.floor(place / 46);
        if (place >= 0 && place < count * 46 && height > 0) {
          expect(begin <= seen && seen < end).toBe(true);
        }
      }
    }
  });

  it('is scrolled as little as possible, and then holds the row', () => {
    expect(scrolledTo(5, 0, 460, 46)).toBe(0);
    expect(scrolledTo(10, 0, 460, 46)).toBe(46);
    expect(scrolledTo(2, 460, 460, 46)).toBe(92);
  });
});

describe('metrics', () => {
  it('are named by how many runs have them', () => {
    const runs = [run('a', { metrics: new Map([['x', 1], ['y', 1]]) }), run('b', { metrics: new Map([['y', 1]]) })]; // prettier-ignore

    expect(metricNames(runs)).toEqual(['y', 'x']);
  });
});
