import { Signal } from '@lumino/signaling';

import { made } from '../mime/made';
import { RequestError } from '../request';
import type { IAgent, IAsked, IHearing } from './kernel';
import {
  BUSY_MS,
  DEFAULTS,
  ExplainModel,
  PAUSE_MS,
  backgroundsFor,
  chosen,
  type IFound,
  type IFoundModel,
  type IFoundTable
} from './model';

const FOUND: IFound = {
  models: [
    { ...named('raw', 'not fitted'), features: null, is_named: false },
    named('forest', ''),
    named('other', '')
  ],
  tables: [
    table('odd', 9, 7, [], {}),
    table('test', 50, 3, ['a', 'b', 'c'], { forest: 'all' }),
    table('matrix', 9000, 3, [], { forest: 'all' }),
    table('train', 900, 4, ['a', 'b', 'c', 'd'], { forest: 'part', other: 'all' })
  ]
};

function named(name: string, problem: string): IFoundModel {
  return {
    name,
    kind: 'Forest',
    library: 'sklearn',
    features: 3,
    classes: [],
    units: [],
    is_named: true,
    problem
  };
}

function table(
  name: string,
  rows: number,
  width: number,
  columns: string[],
  fits: Record<string, 'all' | 'part'>
): IFoundTable {
  return { name, kind: columns.length ? 'frame' : 'array', rows, width, columns, fits };
}

/** A kernel's agent that answers when it is told to. */
class Agent implements IAgent {
  asked: {
    name: string;
    given: Record<string, unknown>;
    hearing: IHearing;
    end: (content: unknown) => void;
    fail: (error: Error) => void;
    isCancelled: boolean;
  }[] = [];
  ended: Signal<IAgent, void> = new Signal<IAgent, void>(this);
  isOnSubshell = false;
  isDisposed = false;

  dispose(): void {
    this.isDisposed = true;
  }

  ask(name: string, given: Record<string, unknown>, hearing: IHearing = {}): IAsked {
    const entry = { name, given, hearing, isCancelled: false } as Agent['asked'][0];
    const done = new Promise<unknown>((end, fail) => Object.assign(entry, { end, fail }));
    this.asked.push(entry);
    return { done, cancel: () => (entry.isCancelled = true) };
  }

  last(name: string): Agent['asked'][0] {
    const found = this.asked.filter(each => each.name === name).pop();
    if (!found) {
      throw new Error(`nobody asked for ${name}`);
    }
    return found;
  }
}

function told(prediction = 0.65): Record<string, unknown> {
  return {
    bundle: made(1, { prediction: [[prediction]] }),
    lines: [],
    code: `explain.both(forest, …)  # ${prediction}`,
    fields: [{ name: 'income', unit: '', kind: 'number', value: 30, categories: [], low: 0, high: 99 }],
    outside: [],
    seconds: 0.1
  };
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) {
    await Promise.resolve();
  }
}

let agent: Agent;
let model: ExplainModel;

/** A model that has looked. */
async function looked(): Promise<void> {
  agent = new Agent();
  model = new ExplainModel(async () => agent);
  model.setKernel({ id: 'k', clientId: 'c' } as never, 'one.ipynb');
  const looking = model.look();
  await settle();
  agent.last('look').end(FOUND);
  await looking;
}

async function explained(prediction = 0.65): Promise<void> {
  void model.explainRow();
  await settle();
  agent.last('explain').hearing.onAnswer?.(told(prediction));
  agent.last('explain').end({ lines: [{ name: 'stability', verdict: 'pass', sentence: 'It is stable.' }] });
  await settle();
}

beforeEach(() => {
  jest.useFakeTimers();
});

afterEach(() => {
  jest.useRealTimers();
});

describe('chosen', () => {
  it('takes the first model that can be explained and has a table, compared with the largest', () => {
    expect(chosen(FOUND, null, DEFAULTS)).toMatchObject({
      model: 'forest',
      table: 'test',
      background: 'train'
    });
  });

  it('stays with what was chosen before while it is there', () => {
    const before = {
      ...chosen(FOUND, null, DEFAULTS)!,
      model: 'other',
      table: 'train',
      row: 2000,
      unit: 'raw'
    };

    expect(chosen(FOUND, before, DEFAULTS)).toMatchObject({
      model: 'other',
      table: 'train',
      background: 'train',
      row: 899,
      unit: 'raw'
    });
  });

  it('compares frames with frames, and where no names are known only the same columns', () => {
    const [, forest] = FOUND.models;
    const [, test, , train] = FOUND.tables;

    expect(backgroundsFor(FOUND, forest, test).map(each => each.name)).toEqual(['test', 'train']);
    expect(backgroundsFor(FOUND, { ...forest, is_named: false }, train).map(each => each.name)).toEqual([
      'train'
    ]);
  });

  it('chooses nothing where nothing fits', () => {
    expect(chosen({ models: FOUND.models, tables: [FOUND.tables[0]] }, null, DEFAULTS)).toBeNull();
  });
});

describe('ExplainModel', () => {
  it('asks nothing of a kernel before someone looks', async () => {
    let opened = 0;
    const quiet = new ExplainModel(async () => {
      opened++;
      return new Agent();
    });
    quiet.setKernel({ id: 'k', clientId: 'c' } as never, 'one.ipynb');
    await quiet.explainRow();
    await quiet.explainAll();
    await settle();

    expect(opened).toBe(0);
  });

  it('says that nbproof is not in the kernel, with what to do', async () => {
    const missing = new ExplainModel(async () => {
      throw new RequestError(0, 'nbproof is not installed in this kernel', "pip install 'nbproof[explain]'");
    });
    missing.setKernel({ id: 'k', clientId: 'c' } as never, 'one.ipynb');

    await missing.look();

    expect(missing.error).toMatchObject({ hint: "pip install 'nbproof[explain]'" });
    expect(missing.run).toBeNull();
  });

  it('shows a row at once, and its stability once that is judged', async () => {
    await looked();
    void model.explainRow();
    await settle();
    agent.last('explain').hearing.onAnswer?.(told());

    expect(model.row).toMatchObject({ isJudging: true, code: expect.stringContaining('explain.both') });
    expect(model.run).toBeNull();

    agent.last('explain').end({ lines: [{ name: 'stability', verdict: 'pass', sentence: 'It is stable.' }] });
    await settle();

    expect(model.row?.isJudging).toBe(false);
    expect(model.row?.bundle.lines).toHaveLength(1);
  });

  it('begins a short run, and asks before a long one', async () => {
    await looked();
    void model.explainAll();
    await settle();
    agent.last('estimate').end({ seconds: 40, rows: 50 });
    await settle();

    expect(model.estimate).toEqual({ seconds: 40, rows: 50 });
    expect(agent.asked.some(each => each.name === 'explain')).toBe(false);

    void model.proceed();
    await settle();

    expect(agent.last('explain').given).toMatchObject({ model: 'forest', rows: 50 });
    model.cancel();
    void model.explainAll();
    await settle();
    agent.last('estimate').end({ seconds: 0.1, rows: 50 });
    await settle();

    expect(agent.asked.filter(each => each.name === 'explain')).toHaveLength(2);
  });

  it('tells how far a run is, and forgets it when it is cancelled', async () => {
    await looked();
    void model.explainRow();
    await settle();
    const asked = agent.last('explain');
    asked.hearing.onProgress?.({ method: 'SHAP', done: 3, total: 9, remaining_s: 2 });

    expect(model.run?.progress).toMatchObject({ done: 3, total: 9 });

    model.cancel();
    asked.hearing.onAnswer?.(told());
    asked.fail(new RequestError(0, 'cancelled after 3 of 9 rows', '', 'Cancelled'));
    await settle();

    expect(asked.isCancelled).toBe(true);
    expect([model.run, model.row, model.error]).toEqual([null, null, null]);
  });

  it('follows edits once there is a pause, all of them at once', async () => {
    await looked();
    await explained();
    model.edit('income', 40);
    model.edit('income', 41);

    expect(model.isBehind).toBe(true);

    jest.advanceTimersByTime(PAUSE_MS);
    await settle();

    expect(agent.asked.filter(each => each.name === 'explain')).toHaveLength(2);
    expect(agent.last('explain').given).toMatchObject({ edits: { income: 41 }, is_brief: true });
    agent.last('explain').hearing.onAnswer?.(told(0.9));
    agent.last('explain').end({ lines: [] });
    await settle();
    expect(model.isBehind).toBe(false);
    expect(model.shown).toBe(model.edited);
    expect(model.shown?.bundle.explanations[0].prediction).toEqual([[0.9]]);
  });

  it('shows no picture for an edit that was refused', async () => {
    await looked();
    await explained();
    model.edit('income', 40);
    jest.advanceTimersByTime(PAUSE_MS);
    await settle();
    agent.last('explain').fail(new RequestError(0, 'found a missing value'));
    await settle();

    expect(model.shown).toBeNull();
    expect(model.error).toMatchObject({ message: 'found a missing value' });

    model.reset();

    expect(model.shown).toBe(model.row);
    expect(model.error).toBeNull();
  });

  it('takes an edit back that leads to the value of the row', async () => {
    await looked();
    await explained();
    model.edit('income', 40);
    model.edit('income', 30);
    jest.advanceTimersByTime(PAUSE_MS);
    await settle();

    expect(model.edits.size).toBe(0);
    expect(model.shown).toBe(model.row);
    expect(agent.asked.filter(each => each.name === 'explain')).toHaveLength(1);
  });

  it('says that the kernel is busy while it takes nothing up', async () => {
    await looked();
    void model.explainRow();
    await settle();
    jest.advanceTimersByTime(BUSY_MS);
    await settle();

    expect(model.isWaiting).toBe(true);

    agent.last('explain').hearing.onTaken?.();
    await settle();

    expect(model.isWaiting).toBe(false);
  });

  it('forgets what lived in a kernel that has gone', async () => {
    await looked();
    await explained();

    agent.ended.emit();

    expect([model.found, model.row]).toEqual([null, null]);
    expect(model.error).toMatchObject({ hint: 'look again' });
  });

  it('lets another choice take what was shown away', async () => {
    await looked();
    await explained();
    model.choose({ model: 'other' });
    await settle();

    expect(model.row).toBeNull();
    expect(model.choice).toMatchObject({ model: 'other', table: 'train' });
    expect(agent.last('options').given).toMatchObject({ model: 'other' });
  });

  it('refuses an answer that is none', async () => {
    await looked();
    void model.explainRow();
    await settle();
    agent.last('explain').hearing.onAnswer?.({ bundle: { version: 1, explanations: 'x' } });
    agent.last('explain').end({ lines: [] });
    await settle();

    expect(model.row).toBeNull();
    expect(String(model.error)).toContain('explanations is no list');
  });
});
