/** What draws texts needs of a translator. */

import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';

export type Say = Pick<IRenderMime.TranslationBundle, '__'>;
