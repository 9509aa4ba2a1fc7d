/** The way to the agent in a kernel: one comm, on which requests go out, and progress and answers come back. */

import type { Kernel, KernelMessage } from '@jupyterlab/services';
import type { JSONObject } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import { Signal, type ISignal } from '@lumino/signaling';

import { RequestError } from '../request';

export const TARGET = 'nbproof.explain';
export const VERSION = 1;

/**
 * Looks whether the kernel's environment has nbproof, and opens its door only then; an expression, so that no name is
 * left in the notebook.
 */
export const OPEN =
  '__import__("nbproof.explain.panel.door", fromlist=["door"]).open_door()' +
  ' if __import__("importlib.util", fromlist=["util"]).find_spec("nbproof") else None';

/** What hears of one request. */
export interface IHearing {
  /** The kernel has taken the request up; until then it is busy with something else. */
  onTaken?: () => void;
  onProgress?: (content: unknown) => void;
  /** A first answer, which `done` adds to. */
  onAnswer?: (content: unknown) => void;
}

/** A request under way. */
export interface IAsked {
  done: Promise<unknown>;
  cancel: () => void;
}

/** What the panel needs of a kernel. */
export interface IAgent extends IDisposable {
  ask(name: string, given: JSONObject, hearing?: IHearing): IAsked;
  /** Emits when the kernel has gone, with its names. */
  readonly ended: ISignal<IAgent, void>;
  /** Whether cells and explanations are served at the same time. */
  readonly isOnSubshell: boolean;
}

interface IWaiting extends IHearing {
  resolve: (content: unknown) => void;
  reject: (error: Error) => void;
}

const GONE: Kernel.Status[] = ['restarting', 'autorestarting', 'terminating', 'dead'];

/** Open the door of a kernel. Raises `RequestError` where nbproof is not there, or is another one. */
export async function openAgent(kernel: Kernel.IKernelConnection): Promise<IAgent> {
  await kernel.info;
  const version = await opened(kernel);
  if (version === 'None') {
    throw new RequestError(
      0,
      'nbproof is not installed in this kernel',
      "pip install 'nbproof[explain]'",
      'KernelUnusable'
    );
  }
  if (version !== String(VERSION)) {
    throw new RequestError(
      0,
      `the nbproof of this kernel is another one than that of this page (${version.slice(0, 200)})`,
      'install the same version of nbproof in both, then restart the kernel and reload the page',
      'KernelUnusable'
    );
  }
  const comm = kernel.createComm(TARGET);
  if (kernel.supportsSubshells) {
    // Without that the first messages would wait for the cells.
    await (comm as unknown as { subshellStarted?: Promise<void> }).subshellStarted;
  }
  return new KernelAgent(kernel, comm);
}

/** What the door says: its version, `None`, or what went wrong. */
async function opened(kernel: Kernel.IKernelConnection): Promise<string> {
  const content = {
    code: '',
    silent: true,
    store_history: false,
    stop_on_error: false,
    user_expressions: { door: OPEN }
  };
  let asked = kernel;
  let subshell: string | null = null;
  if (kernel.supportsSubshells) {
    subshell = (await kernel.requestCreateSubshell({}).done).content.subshell_id;
    asked = kernel.clone({ handleComms: false });
    asked.subshellId = subshell;
  }
  try {
    const reply = (await asked.requestExecute(content).done) as KernelMessage.IExecuteReplyMsg;
    return said(reply);
  } finally {
    if (subshell !== null) {
      asked.dispose();
      kernel.requestDeleteSubshell({ subshell_id: subshell });
    }
  }
}

function said(reply: KernelMessage.IExecuteReplyMsg): string {
  if (reply.content.status !== 'ok') {
    return 'the kernel was interrupted';
  }
  const found = reply.content.user_expressions.door as unknown as {
    status?: string;
    evalue?: string;
    data?: Record<string, unknown>;
  };
  return found.status === 'ok' ? String(found.data?.['text/plain']) : String(found.evalue);
}

export class KernelAgent implements IAgent {
  constructor(
    private readonly _kernel: Kernel.IKernelConnection,
    private readonly _comm: Kernel.IComm
  ) {
    _comm.onMsg = msg => this._hear(msg.content.data);
    _comm.onClose = () => this._end();
    _kernel.statusChanged.connect(this._onStatus, this);
    _kernel.disposed.connect(this._end, this);
    _comm.open();
  }

  get ended(): ISignal<this, void> {
    return this._ended;
  }

  get isOnSubshell(): boolean {
    return this._kernel.supportsSubshells;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  ask(name: string, given: JSONObject, hearing: IHearing = {}): IAsked {
    const id = String(++this._asked);
    const done = new Promise<unknown>((resolve, reject) => {
      if (this._isDisposed) {
        reject(new RequestError(0, 'the kernel has gone', 'look again'));
        return;
      }
      this._waiting.set(id, { ...hearing, resolve, reject });
      this._comm.send({ id, ask: name, with: given });
    });
    return {
      done,
      cancel: () => {
        if (this._waiting.has(id)) {
          this._comm.send({ id: `${id} cancelled`, ask: 'cancel', with: { of: id } });
        }
      }
    };
  }

  dispose(): void {
    if (this._isDisposed) {
      return;
    }
    if (!this._comm.isDisposed && !GONE.includes(this._kernel.status)) {
      this._comm.close();
    }
    this._end();
  }

  private _onStatus(_: Kernel.IKernelConnection, status: Kernel.Status): void {
    if (GONE.includes(status)) {
      this._end();
    }
  }

  private _end(): void {
    if (this._isDisposed) {
      return;
    }
    this._isDisposed = true;
    for (const each of this._waiting.values()) {
      each.reject(
        new RequestError(0, 'the kernel has gone, and what it was explaining with it', 'look again')
      );
    }
    this._waiting.clear();
    this._ended.emit();
    Signal.clearData(this);
  }

  private _hear(data: unknown): void {
    const told = data as { id?: unknown; is?: unknown; content?: unknown } | null;
    const waiting = typeof told?.id === 'string' ? this._waiting.get(told.id) : undefined;
    if (!told || !waiting) {
      return;
    }
    if (told.is === 'taken') {
      waiting.onTaken?.();
    } else if (told.is === 'progress') {
      waiting.onProgress?.(told.content);
    } else if (told.is === 'answer') {
      waiting.onAnswer?.(told.content);
    } else if (told.is === 'end' || told.is === 'failure') {
      this._waiting.delete(told.id as string);
      if (told.is === 'end') {
        waiting.resolve(told.content);
      } else {
        const { error, message, hint } = (told.content ?? {}) as Record<string, unknown>;
        waiting.reject(new RequestError(0, String(message), String(hint ?? ''), String(error)));
      }
    }
  }

  private _asked = 0;
  private _waiting = new Map<string, IWaiting>();
  private _ended = new Signal<this, void>(this);
  private _isDisposed = false;
}
