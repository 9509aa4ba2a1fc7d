import type { IPage } from './client';
import { RunsModel } from './model';
import type { Row } from './rows';

type Asked = Record<string, string | number>;

function row(number: number, name = `run ${number}`, status: 'running' | 'done' = 'done'): Row {
  return [`id${number}`, name, 'own', status, number, number + 1, '', '', '', '', [], [], [], false];
}

/** A server with these rows, in pages of what is asked for. */
class Server {
  asked: Asked[] = [];
  changes: IPage = { rows: [], next: '', is_whole: true, now: 2 };
  error: Error | null = null;

  constructor(public rows: Row[]) {}

  async runs(_: string, asked: Asked): Promise<IPage> {
    this.asked.push(asked);
    if (this.error) {
      throw this.error;
    }
    if (asked.since) {
      return this.changes;
    }
    const begin = Number(asked.after || 0);
    const end = begin + Number(asked.rows);
    const words = String(asked.search ?? '').replace(/"/g, '');
    const rows = this.rows.slice(begin, end).filter(made => !words || made[1].includes('hidden'));
    return {
      rows,
      next: end < this.rows.length ? String(end) : '',
      is_whole: true,
      now: 1,
      experiments: ['a']
    };
  }

  async tasks(path: string): Promise<{ notebook: string; tasks: [string, string][] }> {
    return { notebook: path, tasks: [] };
  }
}

const many = (count: number): Row[] => Array.from({ length: count }, (_, number) => row(number));

describe('the list of runs', () => {
  it('is read page by page, a small one first', async () => {
    const server = new Server(many(2500));
    const model = new RunsModel(server);

    await model.follow('', 'p');

    expect(server.asked.map(({ rows }) => rows)).toEqual([200, 1000, 1000, 1000]);
    expect(model.shown.length).toBe(2500);
    expect(model.shown[0].id).toBe('id2499');
    expect([model.isReading, model.isCut, model.error]).toEqual([false, false, null]);
  });

  it('is cut where there are too many, and says so', async () => {
    const model = new RunsModel(new Server(many(5000)), 1000);

    await model.follow('', 'p');

    expect(model.runs.size).toBe(1200);
    expect(model.isCut).toBe(true);
  });

  it('takes in what changed, and draws only when something did', async () => {
    const server = new Server([row(1, 'a', 'running')]);
    const model = new RunsModel(server);
    await model.follow('', 'p');
    let drawn = 0;
    model.changed.connect(() => drawn++);

    server.changes = { rows: [row(1, 'a', 'running')], next: '', is_whole: true, now: 3 };
    await model.refresh();
    expect(drawn).toBe(0);

    server.changes = { rows: [row(1), row(2)], next: '', is_whole: true, now: 4 };
    await model.refresh();
    expect(drawn).toBe(1);
    expect(model.shown.map(({ id, status }) => [id, status])).toEqual([['id2', 'done'], ['id1', 'done']]); // prettier-ignore
    expect(server.asked[server.asked.length - 1].since).toBe(3);
  });

  it('is read anew when too much changed', async () => {
    const server = new Server(many(3));
    const model = new RunsModel(server);
    await model.follow('', 'p');
    server.rows = many(2);

    server.changes = { rows: [], next: '', is_whole: false, now: 3 };
    await model.refresh();

    expect(model.runs.size).toBe(2);
  });

  it('stays on screen while the tracker is away, and the error goes with it', async () => {
    const server = new Server(many(3));
    const model = new RunsModel(server);
    await model.follow('', 'p');

    server.error = new Error('away');
    await model.refresh();
    expect([model.shown.length, model.error]).toEqual([3, server.error]);

    server.error = null;
    await model.refresh();
    expect([model.shown.length, model.error]).toEqual([3, null]);
  });

  it('asks the server for nothing before a project is followed', async () => {
    const server = new Server(many(3));

    await new RunsModel(server).refresh();

    expect(server.asked).toEqual([]);
  });

  it('is read again only when the notebook lies in another project', async () => {
    const server = new Server(many(3));
    const model = new RunsModel(server);

    await model.follow('a/x.ipynb', 'a');
    await model.follow('a/y.ipynb', 'a');
    expect(server.asked.length).toBe(1);

    await model.follow('b/z.ipynb', 'b');
    expect(server.asked.length).toBe(2);
  });

  it('shows no run as a notebook’s when there is none', async () => {
    const model = new RunsModel(new Server(many(3)));
    await model.follow('', 'p');

    model.wantOfNotebook(true);

    expect(model.shown).toEqual([]);
  });

  it('finds in the store what it does not know itself', async () => {
    const server = new Server([row(1), row(2)]);
    const model = new RunsModel(server);
    await model.follow('', 'p');
    server.rows = [row(1), row(2), row(3, 'hidden')];
    model.want({ search: 'deep auc>0.1' });

    await model.searchStore();

    expect(server.asked[1]).toMatchObject({ search: '"deep"' });
    model.want({ search: 'deep' });
    expect(model.shown.map(({ id }) => id)).toEqual(['id3']);
  });

  it('has at most eight picked', () => {
    const model = new RunsModel(new Server([]));

    const taken = Array.from({ length: 9 }, (_, number) => model.pick(`id${number}`));

    expect(taken).toEqual([true, true, true, true, true, true, true, true, false]);
    model.pick('id3');
    expect(model.picked).not.toContain('id3');
  });
});
