/** Draws the explanations that notebooks keep. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { DOMAIN } from '../tokens';
import { factory } from './renderer';

/** An ordinary plugin and no MIME extension: as part of one bundle with the panels it shares their charts. */
export const mime: JupyterFrontEndPlugin<void> = {
  id: 'nbproof:explanation-renderer',
  description: 'Shows explanations that notebooks keep.',
  autoStart: true,
  requires: [IRenderMimeRegistry],
  optional: [ITranslator],
  activate: (app: JupyterFrontEnd, registry: IRenderMimeRegistry, translator: ITranslator | null) =>
    registry.addFactory(factory((translator ?? nullTranslator).load(DOMAIN)))
};
