import { RequestError } from '../request';
import { conditionsIn, inOrder, marked, ReviewModel, type Ask, type ICheck, type IStanding } from './model';

const nobody = { name: '', reason: 'anonymous', hint: '' };
const standing: IStanding = {
  notebook: 'a.ipynb',
  state: 'requested',
  approved: false,
  sentence: '',
  digest: 'sha256:1',
  bound: 'b'.repeat(64),
  subjects: [],
  absent: [],
  parameters: {},
  changes: [],
  decisions: [],
  last: null,
  asked: { by: 'Bela', at: '', comment: '' },
  missing: [],
  checks: [],
  checking: false,
  package: null,
  asker: { ...nobody, name: 'Ana' },
  signer: { ...nobody, name: 'Ana' }
};

/** A server of one answer, which remembers what it was asked. */
function server(answer: unknown): { ask: Ask; asked: [string, unknown][] } {
  const asked: [string, unknown][] = [];
  const ask = (async (path: string, options: { body?: object; arguments?: object } = {}) => {
    asked.push([path, options.body ?? options.arguments]);
    if (answer instanceof Error) {
      throw answer;
    }
    return answer;
  }) as Ask;
  return { ask, asked };
}

async function shown(answer: unknown): Promise<{ model: ReviewModel; asked: [string, unknown][] }> {
  const { ask, asked } = server(answer);
  const model = new ReviewModel(ask);
  await model.show('a.ipynb', false);
  return { model, asked };
}

describe('review', () => {
  it('asks how the notebook stands, and nothing without a notebook', async () => {
    const { model, asked } = await shown(standing);
    await model.show('', false);

    expect(asked).toEqual([['review', { path: 'a.ipynb' }]]);
    expect(model.standing).toBeNull();
  });

  it('sends what was seen along with a decision', async () => {
    const { model, asked } = await shown(standing);

    await model.approve([{ text: 'watch', due: null }], 'fine');

    expect(asked[1]).toEqual([
      'review/approve',
      { path: 'a.ipynb', bound: standing.bound, conditions: [{ text: 'watch', due: null }], comment: 'fine' }
    ]);
  });

  it('decides nothing about what is not saved', async () => {
    const { model, asked } = await shown(standing);
    model.setDirty(true);

    await model.reject('no');
    await model.request('');

    expect(asked.length).toBe(1);
    expect(model.may).toEqual({ check: false, ask: false, decide: false, export: false, submit: false });
  });

  it('exports only what is approved, and submits only what was exported', async () => {
    const may = async (more: object): Promise<object> => (await shown({ ...standing, ...more })).model.may;

    expect(await may({ approved: true })).toMatchObject({ export: true, submit: false });
    expect(await may({ approved: true, checking: true })).toMatchObject({ export: false });
    expect(await may({ package: 'score' })).toMatchObject({ export: false, submit: true });
  });

  it('tells which job a package became, or why none', async () => {
    const { model, asked } = await shown({ ...standing, package: 'score', id: 'score-0a1b2c' });
    await model.submit('slurm');
    const refused = await shown(standing);
    refused.model['_ask'] = server(new RequestError(409, 'it is a draft')).ask;
    await refused.model.submit('local');

    expect(asked[1]).toEqual(['review/submit', { path: 'a.ipynb', target: 'slurm' }]);
    expect(model.job).toBe('score-0a1b2c');
    expect([refused.model.job, refused.model.problem]).toEqual(['', 'it is a draft']);
  });

  it('lets decide only who may, and only what was asked about', async () => {
    const may = async (more: object): Promise<object> => (await shown({ ...standing, ...more })).model.may;

    expect(await may({})).toEqual({ check: true, ask: false, decide: true, export: false, submit: false });
    expect(await may({ signer: nobody })).toMatchObject({ decide: false });
    expect(await may({ state: 'never asked', asked: null })).toMatchObject({ ask: true, decide: false });
    expect(await may({ state: 'never asked', asked: null, asker: nobody })).toMatchObject({ ask: false });
    expect(await may({ bound: null })).toMatchObject({ check: false, ask: false, decide: false });
  });

  it('does not ask for a review while a check that weighs fails', async () => {
    const failed = { code: 'NBP002', verdict: 'failed', severity: 'error', findings: [] };
    const { model } = await shown({ ...standing, state: 'ended', asked: null, checks: [failed] });

    expect(model.may.ask).toBe(false);
  });

  it('keeps an error as it is, and forgets it when it is over', async () => {
    const { model } = await shown(new RequestError(409, 'it has changed meanwhile', 'look again'));

    expect((model.error as RequestError).hint).toBe('look again');
    await model.show('b.ipynb', false);
    expect(model.path).toBe('b.ipynb');
  });

  it('drops the answer to an older question', async () => {
    const open: ((value: IStanding) => void)[] = [];
    const model = new ReviewModel((() => new Promise(resolve => open.push(resolve))) as Ask);
    const first = model.show('a.ipynb', false);
    const second = model.show('b.ipynb', false);

    open[1]({ ...standing, notebook: 'b.ipynb' });
    open[0]({ ...standing, notebook: 'a.ipynb' });
    await Promise.all([first, second]);

    expect(model.standing?.notebook).toBe('b.ipynb');
  });

  it('hears how the checks go, of its own notebook only', async () => {
    const { model, asked } = await shown(standing);
    await model.begin('check');
    model.hear({ path: 'other.ipynb', doing: '', done: true });
    expect(model.isChecking).toBe(true);
    model.hear({ path: 'a.ipynb', doing: 'cell 1 of 3' });
    expect(model.doing).toBe('cell 1 of 3');

    model.hear({ path: 'a.ipynb', doing: '', done: true, problem: 'it changed' });

    expect([model.isChecking, model.problem]).toEqual([false, 'it changed']);
    expect(asked.filter(([path]) => path === 'review').length).toBe(2);
  });

  it('reads conditions line by line, with their dates', () => {
    expect(conditionsIn('watch the drift @2027-01-31\n\n  mail a@b.c \n')).toEqual([
      { text: 'watch the drift', due: '2027-01-31' },
      { text: 'mail a@b.c', due: null }
    ]);
  });

  it('shows first what weighs most', () => {
    const check = (code: string, verdict: string, severity: string): ICheck =>
      ({ code, verdict, severity }) as ICheck;
    const checks = [
      check('a', 'passed', 'error'),
      check('b', 'not evaluated', 'error'),
      check('c', 'failed', 'note'),
      check('d', 'failed', 'error')
    ];

    expect(inOrder(checks).map(one => one.code)).toEqual(['d', 'c', 'b', 'a']);
  });

  it('marks lines by a sign and not by colour alone', () => {
    expect(['+ a', '- b', '  c', '+ '].map(marked)).toEqual([
      { mark: '+', text: 'a' },
      { mark: '−', text: 'b' },
      { mark: ' ', text: 'c' },
      { mark: '+', text: '' }
    ]);
  });
});
