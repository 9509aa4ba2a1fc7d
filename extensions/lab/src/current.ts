/** Which notebook is looked at: what the panels follow. */

import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import { Signal, type ISignal } from '@lumino/signaling';
import type { IDisposable } from '@lumino/disposable';

/** Follows the tracker, and the renaming of the notebook that it is at. */
export class CurrentNotebook implements IDisposable {
  constructor(private readonly _tracker: INotebookTracker) {
    _tracker.currentChanged.connect(this._onCurrent, this);
    this._onCurrent();
  }

  /** Emits when another notebook comes to the front, or this one gets another name. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get panel(): NotebookPanel | null {
    return this._panel;
  }

  /** The contents path, without the drive; empty when there is no notebook. */
  get path(): string {
    return this._panel?.context.localPath ?? '';
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    this._isDisposed = true;
    Signal.clearData(this);
  }

  private _onCurrent(): void {
    this._panel?.context.pathChanged.disconnect(this._onPath, this);
    this._panel = this._tracker.currentWidget;
    this._panel?.context.pathChanged.connect(this._onPath, this);
    this._changed.emit();
  }

  private _onPath(): void {
    this._changed.emit();
  }

  private _panel: NotebookPanel | null = null;
  private _isDisposed = false;
  private _changed = new Signal<this, void>(this);
}
