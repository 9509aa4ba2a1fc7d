import { Signal } from '@lumino/signaling';

import { RequestError } from '../request';
import { OPEN, openAgent } from './kernel';

/** A kernel that says `door`, and a comm whose messages are kept. */
class Kernel {
  constructor(private readonly _door: Record<string, unknown>) {}

  info = Promise.resolve();
  supportsSubshells = false;
  status = 'idle';
  statusChanged = new Signal<Kernel, string>(this);
  disposed = new Signal<Kernel, void>(this);
  asked: Record<string, unknown>[] = [];
  sent: Record<string, unknown>[] = [];
  comm = {
    onMsg: undefined as unknown as (message: unknown) => void,
    onClose: () => undefined,
    isDisposed: false,
    open: () => undefined,
    close: () => undefined,
    send: (data: Record<string, unknown>) => this.sent.push(data)
  };

  requestExecute(content: Record<string, unknown>): { done: Promise<unknown> } {
    this.asked.push(content);
    return { done: Promise.resolve({ content: { status: 'ok', user_expressions: { door: this._door } } }) };
  }

  createComm(): unknown {
    return this.comm;
  }

  tell(data: unknown): void {
    this.comm.onMsg({ content: { data } });
  }
}

const OPENED = { status: 'ok', data: { 'text/plain': '1' } };

describe('openAgent', () => {
  it('runs one silent expression that leaves nothing behind', async () => {
    const kernel = new Kernel(OPENED);

    await openAgent(kernel as never);

    expect(kernel.asked).toEqual([
      { code: '', silent: true, store_history: false, stop_on_error: false, user_expressions: { door: OPEN } }
    ]);
    expect(OPEN).not.toMatch(/=[^"]*$|import .* as|\n/);
  });

  it('says where nbproof is missing, and how it is installed', async () => {
    const kernel = new Kernel({ status: 'ok', data: { 'text/plain': 'None' } });

    await expect(openAgent(kernel as never)).rejects.toMatchObject({
      message: 'nbproof is not installed in this kernel',
      hint: "pip install 'nbproof[explain]'"
    });
  });

  it('does not guess with another version', async () => {
    const kernel = new Kernel({
      status: 'error',
      ename: 'ModuleNotFoundError',
      evalue: 'No module named panel'
    });

    await expect(openAgent(kernel as never)).rejects.toThrow(
      /another one than that of this page \(No module/
    );
  });

  it('matches answers to requests, and raises what was refused with its hint', async () => {
    const kernel = new Kernel(OPENED);
    const agent = await openAgent(kernel as never);
    const heard: unknown[] = [];
    const first = agent.ask('look', {}, { onTaken: () => heard.push('taken') });
    const second = agent.ask('explain', { row: 1 }, { onProgress: content => heard.push(content) });
    kernel.tell({ id: '2', is: 'progress', content: { done: 1 } });
    kernel.tell({ id: '1', is: 'taken' });
    kernel.tell({ id: 'unknown', is: 'end', content: 1 });
    kernel.tell(null);
    kernel.tell({ id: '1', is: 'end', content: 'found' });
    kernel.tell({ id: '2', is: 'failure', content: { error: 'DataUnusable', message: 'no', hint: 'yes' } });

    await expect(first.done).resolves.toBe('found');
    await expect(second.done).rejects.toMatchObject({ name: 'DataUnusable', message: 'no', hint: 'yes' });
    expect(heard).toEqual([{ done: 1 }, 'taken']);
    expect(kernel.sent[1]).toEqual({ id: '2', ask: 'explain', with: { row: 1 } });
  });

  it('cancels by the number of the request, while it is under way', async () => {
    const kernel = new Kernel(OPENED);
    const agent = await openAgent(kernel as never);
    const asked = agent.ask('explain', {});
    asked.cancel();
    kernel.tell({ id: '1', is: 'end', content: 1 });
    await asked.done;
    asked.cancel();

    expect(kernel.sent.slice(1)).toEqual([{ id: '1 cancelled', ask: 'cancel', with: { of: '1' } }]);
  });

  it('ends with its kernel, and what waited is told', async () => {
    const kernel = new Kernel(OPENED);
    const agent = await openAgent(kernel as never);
    let isEnded = false;
    agent.ended.connect(() => (isEnded = true));
    const asked = agent.ask('explain', {});
    kernel.statusChanged.emit('restarting');

    await expect(asked.done).rejects.toThrow(RequestError);
    expect(isEnded).toBe(true);
    await expect(agent.ask('look', {}).done).rejects.toThrow('the kernel has gone');
  });
});
