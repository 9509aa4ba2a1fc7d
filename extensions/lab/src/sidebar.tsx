/** A panel at the side: its title, its icon, and a fence that keeps an error of its own inside. */

import { ReactWidget, type LabIcon } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { Signal, type ISignal } from '@lumino/signaling';
import * as React from 'react';
import { h } from './h';

import { Failure } from './notice';

const SHOWING = ['after-show', 'after-attach'];

interface IFence {
  error: unknown;
}

class Fence extends React.Component<{ children: React.ReactNode }, IFence> {
  state: IFence = { error: null };

  static getDerivedStateFromError(error: unknown): IFence {
    return { error };
  }

  render(): React.ReactNode {
    return this.state.error ? <Failure error={this.state.error} /> : this.props.children;
  }
}

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
