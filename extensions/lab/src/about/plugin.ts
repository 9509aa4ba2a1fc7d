/** Says which nbproof answers: one command, and the first that a page asks of the server. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Dialog, ICommandPalette, showDialog } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { request } from '../request';
import { takes } from '../takes';
import { CATEGORY, COMMANDS, DOMAIN } from '../tokens';

interface IAbout {
  version: string;
  project: string;
  experiment: string;
}

export const about: JupyterFrontEndPlugin<void> = {
  id: 'nbproof:about',
  description: 'Says which nbproof answers.',
  autoStart: true,
  optional: [ITranslator, ICommandPalette],
  activate: (app: JupyterFrontEnd, translator: ITranslator | null, palette: ICommandPalette | null) => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    app.commands.addCommand(COMMANDS.showAbout, {
      label: trans.__('About nbproof'),
      describedBy: takes(),
      execute: async () => {
        const found = await request<IAbout>('about');
        await showDialog({
          title: trans.__('About nbproof'),
          body: trans.__(
            'Version %1, project %2, experiment %3',
            found.version,
            found.project,
            found.experiment
          ),
          buttons: [Dialog.okButton()]
        });
      }
    });
    palette?.addItem({ command: COMMANDS.showAbout, category: CATEGORY });
  }
};
