/** A panel at the side: its title, its icon, and a fence around its content. */

import { ReactWidget, type LabIcon } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { Signal, type ISignal } from '@lumino/signaling';
import { h } from './h';

import { Fence } from './parts';

const SHOWING = ['after-show', 'after-attach'];

/** What the panel of one part is shown in; `draw` gives its content. */
export class Sidebar extends ReactWidget {
  constructor(options: { id: string; label: string; icon: LabIcon; draw: () => JSX.Element }) {
    super();
    this._draw = options.draw;
    this.id = options.id;
    this.addClass('nbp-Sidebar');
    this.title.icon = options.icon;
    this.title.caption = options.label;
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', options.label);
    // The keyboard reaches the panel itself, so that it can be scrolled.
    this.node.tabIndex = 0;
  }

  /** Emits when the panel has come into sight; until then it need ask nobody. */
  get shown(): ISignal<this, void> {
    return this._shown;
  }

  processMessage(message: Message): void {
    super.processMessage(message);
    if (SHOWING.includes(message.type) && this.isVisible) {
      this._shown.emit();
    }
  }

  render(): JSX.Element {
    return <Fence>{this._draw()}</Fence>;
  }

  private readonly _shown = new Signal<this, void>(this);
  private readonly _draw: () => JSX.Element;
}
