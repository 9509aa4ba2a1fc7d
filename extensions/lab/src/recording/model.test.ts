import { nullTranslator } from '@jupyterlab/translation';

import {
  duration,
  isMarked,
  keyOf,
  merged,
  RecordingModel,
  shownRows,
  type ICell,
  type IExecution,
  type IFacts,
  type IFollowing,
  type IRecording,
  type IServer
} from './model';
import { statusWords } from './words';

function execution(number: number, part: Partial<IExecution> = {}): IExecution {
  const own = { exec_id: `s.${number}`, number, cell_id: 'a', count: number, started_at: 0 };
  return { ...own, seconds: 1, outcome: 'ok', error: null, ...part };
}

function recording(part: Partial<IRecording> = {}): IRecording {
  return {
    path: 'one.ipynb',
    session: 's',
    level: 'metadata',
    is_recording: true,
    reason: null,
    executions: [],
    is_cut: false,
    waiting: { records: 0, reason: null },
    ...part
  };
}

function facts(part: Partial<IFacts> = {}): IFacts {
  return { ...recording(), ended: null, ...part };
}

const FOLLOWS: IFollowing = { is_known: true, reason: null, session: 's', cells: [] };

class Server implements IServer {
  asked: string[] = [];
  answer = recording();
  judged: Promise<IFollowing> = Promise.resolve(FOLLOWS);

  async recording(): Promise<IRecording> {
    this.asked.push('recording');
    return this.answer;
  }

  async switch(_: string, level: IRecording['level']): Promise<IRecording> {
    this.asked.push(`switch ${level}`);
    return { ...this.answer, level };
  }

  following(): Promise<IFollowing> {
    this.asked.push('following');
    return this.judged;
  }
}

describe('the list of executions', () => {
  it('keeps the order in which they began, whatever is told first', () => {
    const found = merged([execution(2)], [execution(3), execution(1), execution(2, { outcome: 'error' })]);

    expect(found.map(one => [one.number, one.outcome])).toEqual([
      [1, 'ok'],
      [2, 'error'],
      [3, 'ok']
    ]);
  });

  it('draws only the rows that are seen, and some around them', () => {
    expect(shownRows(10000, 24000, 480, 24, 8)).toEqual({ first: 992, last: 1028 });
    expect(shownRows(3, 0, 480, 24, 8)).toEqual({ first: 0, last: 3 });
    expect(shownRows(0, 900, 480, 24, 8)).toEqual({ first: 0, last: 0 });
  });

  it('says durations as people do, and nothing for what is none', () => {
    expect([0.0004, 0.25, 2.44, 65, 3600, 7322, null, NaN, -1].map(duration)).toEqual([
      '0 ms',
      '250 ms',
      '2.4 s',
      '1 min 5 s',
      '1 h',
      '2 h 2 min 2 s',
      '',
      '',
      ''
    ]);
  });
});

describe('marks', () => {
  it('stand on results that are not, or may not be, what the code gives', () => {
    const states = ['follows', 'not run', 'running', 'edited', 'stale', 'out of order', 'unknown'] as const;

    expect(states.filter(isMarked)).toEqual(['edited', 'stale', 'out of order', 'unknown']);
  });

  it('depend on code, order and tags, and not on numbers beside cells', () => {
    const cell: ICell = { id: 'a', kind: 'code', source: 'x', tags: [], count: null };

    expect(keyOf([cell])).toBe(keyOf([{ ...cell, count: 3 }]));
    expect(keyOf([cell])).not.toBe(keyOf([{ ...cell, tags: ['nolog'] }]));
  });
});

describe('the status', () => {
  const trans = nullTranslator.load('nbproof');

  it('says plainly what is recorded', () => {
    const waiting = { records: 2, reason: 'the tracker is away' };

    expect(statusWords(null, trans)).toBe('Recording: …');
    expect(statusWords(recording(), trans)).toBe('Recording: metadata');
    expect(statusWords(recording({ level: 'off', is_recording: false }), trans)).toBe('Recording: off');
    expect(statusWords(recording({ is_recording: false }), trans)).toBe('Not recording (metadata)');
    expect(statusWords(recording({ waiting }), trans)).toBe('Recording: metadata, 2 waiting');
  });
});

describe('the model', () => {
  let server: Server;
  let model: RecordingModel;

  beforeEach(async () => {
    server = new Server();
    model = new RecordingModel(
      server,
      () => 'one.ipynb',
      () => []
    );
    await model.refresh();
    server.asked = [];
  });

  afterEach(() => model.dispose());

  it('takes in what is told of its own notebook, and nothing of another', () => {
    model.hear(facts({ executions: [execution(1)] }));
    model.hear(facts({ path: 'two.ipynb', executions: [execution(2)] }));

    expect(model.recording?.executions.map(one => one.number)).toEqual([1]);
    expect(server.asked).toEqual([]);
  });

  it('asks for the whole list when another life has begun or too much was told', async () => {
    model.hear(facts({ session: 'other' }));
    model.hear(facts({ is_cut: true }));
    model.hear(facts({ ended: 'restart' }));
    await Promise.resolve();

    expect(server.asked.filter(one => one === 'recording')).toHaveLength(3);
  });

  it('keeps the answer to the last question, not the one that comes last', async () => {
    const verdict = { id: 'a', state: 'stale' as const, because: 'old', cause: null };
    let slow: (found: IFollowing) => void = () => undefined;
    server.judged = new Promise(resolve => (slow = resolve));
    const first = model.judge();
    server.judged = Promise.resolve(FOLLOWS);
    await model.judge();
    slow({ ...FOLLOWS, cells: [verdict] });
    await first;

    expect(model.marked).toEqual([]);
  });

  it('marks nothing where nothing is known', async () => {
    const verdict = { id: 'a', state: 'stale' as const, because: 'old', cause: null };
    server.judged = Promise.resolve({ ...FOLLOWS, is_known: false, cells: [verdict] });
    await model.judge();

    expect(model.marked).toEqual([]);
  });

  it('shows what went wrong, and forgets it when it goes well', async () => {
    server.judged = Promise.reject(new Error('away'));
    await model.judge();
    expect(model.error).toEqual(new Error('away'));

    server.judged = Promise.resolve(FOLLOWS);
    await model.judge();
    expect(model.error).toBeNull();
  });

  it('switches, and asks what is known then', async () => {
    await model.switchTo('off');

    expect(model.recording?.level).toBe('off');
    expect(server.asked).toEqual(['switch off', 'following']);
  });
});
