import type { IFact, IOutput, IPipeline, IPipelineClient, IRun, ITask } from './client';
import { PipelineModel, added, counted, heard, reasonsOf } from './model';

function task(name: string, facts: Partial<ITask> = {}): ITask {
  return {
    name,
    notebook: `${name}.ipynb`,
    upstream: [],
    products: [],
    parameters: { rows: 3 },
    state: 'new',
    reasons: [],
    last: null,
    executed: null,
    ...facts
  };
}

function run(facts: Partial<IRun> = {}): IRun {
  return {
    id: 'r1',
    run_id: '2026',
    at: 0,
    is_running: true,
    is_stopping: false,
    outcome: '',
    error: null,
    ...facts
  };
}

function view(facts: Partial<IPipeline> = {}): IPipeline {
  return {
    project: '.',
    pipelines: [],
    path: 'p/pipeline.yaml',
    name: 'p',
    tasks: [task('a'), task('b', { upstream: ['a'] })],
    left_out: 0,
    problem: null,
    run: null,
    ...facts
  };
}

const SILENT: IOutput = { chunks: [], next: 0, lost: false, has_more: false, standing: {}, is_running: true };

/** A server that answers as it is told, and remembers what it was asked. */
class Server implements IPipelineClient {
  answers: IPipeline[] = [view()];
  asked: unknown[] = [];
  problems: Record<string, string> = {};
  said: IOutput[] = [];
  refusal: Error | null = null;

  async look(path: string): Promise<IPipeline> {
    this.asked.push(['look', path]);
    return this.answers.length > 1 ? this.answers.shift()! : this.answers[0];
  }
  async contract(): Promise<never> {
    throw new Error('no contract');
  }
  async check(): Promise<Record<string, string>> {
    return this.problems;
  }
  async run(path: string, order: object): Promise<IRun> {
    if (this.refusal) {
      throw this.refusal;
    }
    this.asked.push(['run', path, order]);
    return run();
  }
  async stop(id: string): Promise<IRun> {
    this.asked.push(['stop', id]);
    return run({ is_stopping: true });
  }
  async output(): Promise<IOutput> {
    return this.said.shift() ?? SILENT;
  }
  async log(): Promise<{ text: string; is_cut: boolean }> {
    return { text: 'what it said then\n', is_cut: false };
  }
  async executed(): Promise<string | null> {
    return 'build/a.failed.ipynb';
  }
}

async function opened(server: Server): Promise<PipelineModel> {
  const model = new PipelineModel(server);
  await model.open('p/pipeline.yaml');
  return model;
}

function fact(facts: Partial<IFact>): IFact {
  return { kind: 'task', path: 'p/pipeline.yaml', run: 'r1', ...facts };
}

describe('heard', () => {
  it('takes in what a run tells of a task', () => {
    const found = heard(
      view({ run: run() }),
      fact({ task: 'b', now: { state: 'running', cell: 2, cells: 7 } })
    )!;

    expect(found.tasks.map(({ name, state, cell }) => [name, state, cell])).toEqual([
      ['a', 'new', undefined],
      ['b', 'running', 2]
    ]);
  });

  it('asks again at a beginning, an end, and of a run that it does not know', () => {
    expect(heard(view(), fact({ kind: 'begun' }))).toBeNull();
    expect(heard(view({ run: run() }), fact({ kind: 'ended' }))).toBeNull();
    expect(heard(view({ run: run() }), fact({ run: 'r2', task: 'a', now: { state: 'fresh' } }))).toBeNull();
  });

  it('does not take an end back', () => {
    const over = view({ run: run({ is_running: false, outcome: 'failed' }) });

    expect(heard(over, fact({ task: 'a', now: { state: 'running' } }))).toBe(over);
  });
});

describe('model', () => {
  it('shows what was told while it asked, over the older answer', async () => {
    const server = new Server();
    server.answers = [view({ run: run() })];
    const model = await opened(server);

    const asking = model.refresh();
    model.hear(fact({ task: 'a', now: { state: 'fresh' } }));
    await asking;

    expect(model.task).toBeNull();
    expect(model.view!.tasks[0].state).toBe('fresh');
    model.dispose();
  });

  it('hears nothing of other pipelines', async () => {
    const server = new Server();
    server.answers = [view({ run: run() })];
    const model = await opened(server);

    model.hear(fact({ path: 'q/pipeline.yaml', task: 'a', now: { state: 'failed' } }));

    expect(model.view!.tasks[0].state).toBe('new');
    model.dispose();
  });

  it('runs from a task down with what was typed', async () => {
    const server = new Server();
    const model = await opened(server);
    await model.type('a', 'rows', '5');

    await model.run({ task: 'a', downstream: true });

    expect(server.asked[server.asked.length - 1]).toEqual([
      'run',
      'p/pipeline.yaml',
      { force: false, task: 'a', downstream: true, parameters: { a: { rows: '5' } } }
    ]);
    expect(model.isRunning).toBe(true);
    model.dispose();
  });

  it('starts nothing with a value that the server refuses, and keeps its words at the field', async () => {
    const server = new Server();
    server.problems = { rows: '`rows` is 0, expected at least 1' };
    const model = await opened(server);
    await model.type('a', 'rows', '0');

    await model.run();

    expect(server.asked.some(asked => (asked as string[])[0] === 'run')).toBe(false);
    expect(model.problems).toEqual({ a: { rows: '`rows` is 0, expected at least 1' } });
    expect(model.selected).toBe('a');
    model.dispose();
  });

  it('forgets a value that was taken back', async () => {
    const model = await opened(new Server());
    await model.type('a', 'rows', '5');

    await model.type('a', 'rows', undefined);

    expect(model.typed).toEqual({ a: {} });
    model.dispose();
  });

  it('keeps a refusal until the next thing is asked for', async () => {
    const server = new Server();
    server.refusal = new Error('it is being built');
    const model = await opened(server);

    await model.run();
    await model.refresh();

    expect((model.error as Error).message).toBe('it is being built');
    model.dispose();
  });

  it('fetches all that was said, and notices an end that nobody told', async () => {
    const server = new Server();
    server.answers = [view({ run: run() }), view({ run: run({ is_running: false, outcome: 'done' }) })];
    const model = await opened(server);
    const chunk = (text: string): IOutput['chunks'][0] => ({ task: 'a', cell: 1, stream: 'stdout', text });
    server.said = [
      { ...SILENT, chunks: [chunk('one\n')], next: 1, has_more: true },
      { ...SILENT, chunks: [chunk('two\n')], next: 2, standing: { a: '50 %' }, is_running: false }
    ];

    await model.follow();

    expect(model.said('a')).toBe('one\ntwo\n50 %');
    await new Promise(resolve => model.changed.connect(() => !model.isRunning && resolve(null)));
    expect(model.view!.run!.outcome).toBe('done');
    model.dispose();
  });

  it('shows the log of the last run where this page has heard nothing', async () => {
    const server = new Server();
    const last = {
      run_id: '1',
      at: 1,
      outcome: 'failed',
      elapsed_s: 1,
      reason: 'cell 3',
      has_notebook: true
    };
    server.answers = [view({ tasks: [task('a', { state: 'failed', last })] })];
    const model = await opened(server);

    model.select('a');
    await new Promise(resolve => model.changed.connect(() => model.log && resolve(null)));

    expect(model.said('a')).toBe('what it said then\n');
    expect(await model.executed(model.task!)).toBe('build/a.failed.ipynb');
    model.dispose();
  });
});

describe('what is shown', () => {
  it('keeps no more output than it can show, and says that something is lost', () => {
    const chunks = Array.from({ length: 2500 }, (_, at) => ({
      task: 'a',
      cell: 1,
      stream: 'stdout',
      text: `${at}`
    }));

    const kept = added(
      { run: 'r', chunks: [], next: 0, lost: false, standing: {} },
      { ...SILENT, chunks, next: 2500 }
    );

    expect([kept.chunks.length, kept.chunks[0].text, kept.lost]).toEqual([2000, '500', true]);
  });

  it('says why: what failed before what has changed', () => {
    const last = {
      run_id: '1',
      at: 1,
      outcome: 'failed',
      elapsed_s: 1,
      reason: 'cell 3: it broke',
      has_notebook: true
    };

    expect(reasonsOf(task('a', { state: 'failed', last, reasons: ['code cell 2 changed'] }))).toEqual([
      'cell 3: it broke',
      'code cell 2 changed'
    ]);
    expect(reasonsOf(task('a', { state: 'failed', last, reasons: ['it has not run yet'] }))).toEqual([
      'cell 3: it broke'
    ]);
    expect(reasonsOf(task('a', { state: 'fresh', reason: 'its code changed', last }))).toEqual([]);
    expect(reasonsOf(task('a', { state: 'stale', reasons: ['code cell 2 changed'] }))).toEqual([
      'code cell 2 changed'
    ]);
  });

  it('counts states, those that need attention first', () => {
    const tasks = [
      task('a', { state: 'fresh' }),
      task('b', { state: 'failed' }),
      task('c', { state: 'fresh' })
    ];

    expect(counted(tasks)).toEqual([
      ['failed', 1],
      ['fresh', 2]
    ]);
  });
});
