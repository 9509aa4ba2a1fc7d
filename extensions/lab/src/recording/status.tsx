/** The place of the recording in the status bar. */

import { UseSignal, VDomRenderer } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ISignal } from '@lumino/signaling';
import { h } from '../h';

import type { IRecording } from './model';
import { statusWords } from './words';

/** Says how the notebook is recorded; pressed, it offers the levels. */
export class RecordingStatus extends VDomRenderer {
  constructor(
    private readonly _options: {
      shown: () => IRecording | null;
      changed: ISignal<object, void>;
      choose: (place: DOMRect) => void;
      trans: TranslationBundle;
    }
  ) {
    super();
    this.addClass('nbp-RecordingStatus-item');
  }

  render(): JSX.Element {
    const { shown, changed, choose, trans } = this._options;
    return (
      <UseSignal signal={changed}>
        {() => (
          <button
            className="nbp-RecordingStatus"
            aria-haspopup="menu"
            title={shown()?.reason ?? trans.__('How this notebook is recorded')}
            onClick={event => choose(event.currentTarget.getBoundingClientRect())}
          >
            {statusWords(shown(), trans)}
          </button>
        )}
      </UseSignal>
    );
  }
}
