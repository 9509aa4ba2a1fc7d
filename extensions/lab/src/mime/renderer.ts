/** Shows an explanation that a notebook keeps. It loads before everything else, so it imports nothing heavy. */

import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';
import { Widget } from '@lumino/widgets';

export const MIME = 'application/vnd.nbproof.explanation.v1+json';

class ExplanationWidget extends Widget implements IRenderMime.IRenderer {
  async renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.node.textContent = String(model.data['text/plain'] ?? '');
  }
}

const extension: IRenderMime.IExtension = {
  id: 'nbproof:explanation-renderer',
  description: 'Shows explanations that notebooks keep.',
  rendererFactory: {
    safe: true,
    mimeTypes: [MIME],
    defaultRank: 10,
    createRenderer: () => new ExplanationWidget()
  },
  dataType: 'json'
};

export default extension;
