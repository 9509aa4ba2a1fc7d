/** The marks on cells: beside the prompt of each whose result no longer follows. */

import type { Cell } from '@jupyterlab/cells';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import type { IDisposable } from '@lumino/disposable';

import type { IVerdict, RecordingModel } from './model';
import { SIGNS, stateWords } from './words';

const CLASS = 'nbp-CellMark';
const LONGEST = 500;

/** Draws the marks of one notebook. A windowed notebook keeps the node of a cell that it does not show, and so the mark. */
export class CellMarks implements IDisposable {
  constructor(
    private readonly _panel: NotebookPanel,
    private readonly _model: RecordingModel,
    private readonly _trans: TranslationBundle
  ) {
    _model.changed.connect(this._draw, this);
    _panel.content.model?.cells.changed.connect(this._draw, this);
    this._draw();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Whether marks are shown at all. */
  set isShown(shown: boolean) {
    this._isShown = shown;
    this._draw();
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      Signal.clearData(this);
      this._panel.content.widgets.forEach(cell => take(cell));
    }
  }

  private _draw(): void {
    if (this._isDisposed || this._panel.isDisposed) {
      return;
    }
    // Before anything has run, every result is from an earlier life; the panel says so once.
    const isShown = this._isShown && this._model.hasRun;
    const marked = new Map(isShown ? this._model.marked.map(one => [one.id, one]) : []);
    for (const cell of this._panel.content.widgets) {
      const verdict = marked.get(cell.model.id);
      if (verdict) {
        put(cell, verdict, this._trans);
      } else {
        take(cell);
      }
    }
  }

  private _isShown = true;
  private _isDisposed = false;
}

function markOf(cell: Cell): HTMLElement | undefined {
  return [...cell.node.children].find(child => child.classList.contains(CLASS)) as HTMLElement | undefined;
}

function take(cell: Cell): void {
  markOf(cell)?.remove();
}

function put(cell: Cell, verdict: IVerdict, trans: TranslationBundle): void {
  let mark = markOf(cell);
  if (!mark) {
    mark = document.createElement('span');
    mark.className = CLASS;
    mark.setAttribute('role', 'img');
    cell.node.appendChild(mark);
  }
  const said = trans.__('%1: %2', stateWords(verdict.state, trans), verdict.because).slice(0, LONGEST);
  if (mark.title !== said) {
    mark.textContent = SIGNS[verdict.state] ?? '?';
    mark.title = said;
    mark.setAttribute('aria-label', said);
    mark.dataset.state = verdict.state;
  }
}
