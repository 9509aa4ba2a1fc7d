/** Shows an explanation that a notebook keeps. */

import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import * as React from 'react';
import { h } from '../h';
import { flushSync } from 'react-dom';
import { createRoot, type Root } from 'react-dom/client';

import { Fence } from '../parts';
import type { Say } from '../say';
import { LONGEST, Unreadable, read, type IBundle } from './explanation';
import { ExplanationView, START, type IChoice } from './view';

export const MIME = 'application/vnd.nbproof.explanation.v1+json';
const LONGEST_TEXT = 20_000;

/** Draws a bundle, and keeps what of it is looked at. */
function Kept(props: { bundle: IBundle; say: Say }): JSX.Element {
  const [choice, choose] = React.useState<IChoice>(START);
  return (
    <ExplanationView
      bundle={props.bundle}
      choice={choice}
      choose={part => choose(held => ({ ...held, ...part }))}
      say={props.say}
    />
  );
}

/** What stands there instead of a picture: the text that came with it, and why. */
function Fallback(props: { text: string; reason: string; say: Say }): JSX.Element {
  return (
    <div className="nbp-Explanation">
      <p role="note">{props.say.__('This explanation is not drawn: %1.', props.reason)}</p>
      <pre>{props.text}</pre>
    </div>
  );
}

export class ExplanationWidget extends Widget implements IRenderMime.IRenderer {
  constructor(private readonly _say: Say) {
    super();
    this.addClass('nbp-RenderedExplanation');
  }

  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this._root ??= createRoot(this.node);
    const root = this._root;
    // At once, so that an output has its height when it is measured.
    flushSync(() => root.render(this._draw(model)));
  }

  protected onCloseRequest(msg: Message): void {
    super.onCloseRequest(msg);
    this.dispose();
  }

  dispose(): void {
    if (this.isDisposed) {
      return;
    }
    const root = this._root;
    this._root = null;
    // A widget may be disposed of while React draws, which allows no unmounting then.
    queueMicrotask(() => root?.unmount());
    super.dispose();
  }

  private _draw(model: IRenderMime.IMimeModel): JSX.Element {
    const text = String(model.data['text/plain'] ?? '').slice(0, LONGEST_TEXT);
    const instead = (reason: string): JSX.Element => (
      <Fallback text={text} reason={reason.slice(0, LONGEST)} say={this._say} />
    );
    try {
      return (
        <Fence fallback={instead(this._say.__('it cannot be drawn'))}>
          <Kept bundle={read(model.data[MIME])} say={this._say} />
        </Fence>
      );
    } catch (error) {
      if (error instanceof Unreadable) {
        return instead(error.message);
      }
      throw error;
    }
  }

  private _root: Root | null = null;
}

/** What draws an explanation. It is asked before what draws the picture and the text that lie beside it. */
export const factory = (say: Say): IRenderMime.IRendererFactory => ({
  safe: true,
  mimeTypes: [MIME],
  defaultRank: 10,
  createRenderer: () => new ExplanationWidget(say)
});
