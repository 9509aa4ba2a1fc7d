/** The Explain panel in JupyterLab: its commands, its place, its settings, and the cells that it inserts. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette, WidgetTracker } from '@jupyterlab/apputils';
import { INotebookTracker, NotebookActions, type NotebookPanel } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { inspectorIcon, type ReactWidget } from '@jupyterlab/ui-components';
import type { JSONObject } from '@lumino/coreutils';
import * as React from 'react';

import { CurrentNotebook } from '../current';
import { Sidebar } from '../sidebar';
import { takes } from '../takes';
import { CATEGORY, COMMANDS, DOMAIN } from '../tokens';
import { openAgent } from './kernel';
import { DEFAULTS, ExplainModel, type IChosen } from './model';
import { ExplainPanel } from './panel';

const ID = 'nbproof:explain';
const TAG = 'report';

export const explain: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'Explains the models that live in the kernel of a notebook.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ITranslator, ICommandPalette, ISettingRegistry, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    registry: ISettingRegistry | null,
    restorer: ILayoutRestorer | null
  ) => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const model = new ExplainModel(openAgent);
    const current = new CurrentNotebook(tracker);
    const panels = new WidgetTracker<ReactWidget>({ namespace: 'nbproof-explain' });
    follow(current, model);
    void registry?.load(ID).then(settings => {
      const read = (): void => {
        model.settings = {
          askFromS: Number(settings.get('askFromSeconds').composite ?? DEFAULTS.askFromS),
          rows: Number(settings.get('rows').composite ?? DEFAULTS.rows),
          seed: Number(settings.get('seed').composite ?? DEFAULTS.seed)
        };
      };
      settings.changed.connect(read);
      read();
    });

    let panel: ReactWidget | null = null;
    const open = (): void => {
      if (!panel || panel.isDisposed) {
        panel = new Sidebar({
          id: 'nbproof-explain',
          label: trans.__('Explain'),
          icon: inspectorIcon,
          draw: () =>
            React.createElement(ExplainPanel, {
              model,
              say: trans,
              insert: code => void insert(current.panel, code, false),
              report: code => void insert(current.panel, code, true)
            })
        });
        panel.title.label = trans.__('Explain');
        panel.title.closable = true;
        void panels.add(panel);
      }
      if (!panel.isAttached) {
        app.shell.add(panel, 'main', { mode: 'split-right', ref: current.panel?.id });
      }
      app.shell.activateById(panel.id);
    };
    /** Look, unless someone has looked already, and choose what a command names. */
    const ready = async (part: Partial<IChosen>): Promise<boolean> => {
      open();
      if (!model.found) {
        await model.look();
      }
      if (Object.keys(part).length) {
        model.choose(part);
      }
      return model.choice !== null;
    };
    const isEnabled = (): boolean => Boolean(current.panel?.sessionContext.session?.kernel);
    const text = (description: string): JSONObject => ({ type: 'string', description });
    const whole = (description: string): JSONObject => ({ type: 'integer', minimum: 0, description });
    const names = {
      model: text(trans.__('The name of the model in the notebook')),
      table: text(trans.__('The name of the table whose rows are explained')),
      background: text(trans.__('The name of the table that they are compared with'))
    };

    app.commands.addCommand(COMMANDS.openExplain, {
      label: trans.__('Explain Models of This Notebook'),
      caption: trans.__('Open the panel that explains the models of this notebook'),
      icon: inspectorIcon,
      describedBy: takes(),
      execute: open
    });
    app.commands.addCommand(COMMANDS.explainRow, {
      label: trans.__('Explain a Row'),
      caption: trans.__('Why a model answers so for one row'),
      isEnabled,
      describedBy: takes({ ...names, row: whole(trans.__('The number of the row, from 0')) }),
      execute: async args => {
        if (await ready(picked(args, ['model', 'table', 'background'], ['row']))) {
          model.open('row');
          await model.explainRow();
        }
      }
    });
    app.commands.addCommand(COMMANDS.explainModel, {
      label: trans.__('Explain a Model'),
      caption: trans.__('What matters to a model over many rows'),
      isEnabled,
      describedBy: takes({ ...names, rows: whole(trans.__('How many rows are looked at, at most')) }),
      execute: async args => {
        if (await ready(picked(args, ['model', 'table', 'background'], ['rows']))) {
          model.open('all');
          await model.explainAll();
        }
      }
    });
    current.changed.connect(() => {
      app.commands.notifyCommandChanged(COMMANDS.explainRow);
      app.commands.notifyCommandChanged(COMMANDS.explainModel);
    });
    for (const command of [COMMANDS.openExplain, COMMANDS.explainRow, COMMANDS.explainModel]) {
      palette?.addItem({ command, category: CATEGORY });
    }
    void restorer?.restore(panels, { command: COMMANDS.openExplain, name: () => 'explain' });
  }
};

/** Keep the model at the kernel of the notebook in front. */
function follow(current: CurrentNotebook, model: ExplainModel): void {
  let followed: NotebookPanel | null = null;
  const update = (): void => model.setKernel(followed?.sessionContext.session?.kernel ?? null, current.path);
  current.changed.connect(() => {
    if (followed !== current.panel) {
      followed?.sessionContext.kernelChanged.disconnect(update);
      followed = current.panel;
      followed?.sessionContext.kernelChanged.connect(update);
    }
    update();
  });
  followed = current.panel;
  followed?.sessionContext.kernelChanged.connect(update);
  update();
}

/** The arguments of a command that are of the kind they should be. */
function picked(args: object, texts: string[], numbers: string[]): Partial<IChosen> {
  const given = Object.entries(args).filter(
    ([name, value]) =>
      (texts.includes(name) && typeof value === 'string') ||
      (numbers.includes(name) && Number.isInteger(value))
  );
  return Object.fromEntries(given);
}

/** Insert a cell below the active one; a cell for the report is tagged and run, so that its output is what it made. */
async function insert(panel: NotebookPanel | null, code: string, isForReport: boolean): Promise<void> {
  if (!panel) {
    return;
  }
  const notebook = panel.content;
  NotebookActions.insertBelow(notebook);
  const cell = notebook.activeCell;
  if (!cell) {
    return;
  }
  cell.model.sharedModel.setSource(code);
  if (isForReport) {
    cell.model.setMetadata('tags', [TAG]);
    await NotebookActions.run(notebook, panel.sessionContext);
  }
}
