/** Texts where there may be no translator: what is drawn before JupyterLab has one speaks English. */

import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';

/** What draws needs of a translator. */
export type Say = Pick<IRenderMime.TranslationBundle, '__'>;

/** The text itself, with its arguments in their places. */
export const PLAIN: Say = {
  __: (text: string, ...given: unknown[]) =>
    text.replace(/%(\d+)/g, (whole, at: string) => {
      const found = given[Number(at) - 1];
      return found === undefined ? whole : String(found);
    })
};
