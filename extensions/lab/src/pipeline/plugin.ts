/** The panel of pipelines, its commands, and what keeps it up to date. */

import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, WidgetTracker } from '@jupyterlab/apputils';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import { INotebookTracker } from '@jupyterlab/notebook';
import type { Contents } from '@jupyterlab/services';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { LabIcon } from '@jupyterlab/ui-components';
import { Poll } from '@lumino/polling';
import * as React from 'react';

import { onFacts } from '../facts';
import { Sidebar } from '../sidebar';
import { takes } from '../takes';
import { CATEGORY, COMMANDS, DOMAIN } from '../tokens';
import { type IFact, client } from './client';
import { PipelineModel, type Sight } from './model';
import { Panel } from './panel';

const ID = 'nbproof:pipeline';
const FOLLOW_MS = 1000;
const ICON = new LabIcon({
  name: 'nbproof:pipeline',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" width="16" height="16">' +
    '<g class="jp-icon3" fill="#616161"><rect x="5" y="1" width="6" height="4" rx="1"/>' +
    '<rect x="1" y="11" width="6" height="4" rx="1"/><rect x="9" y="11" width="6" height="4" rx="1"/>' +
    '<path d="M7.5 5h1v2.5H12.500v3.5h-1V8.500h-7v2.500h-1V7.500h4z"/></g></svg>'
});

const PATH = {
  type: 'string',
  description: 'A pipeline.yaml, or a notebook or folder of its project; without it, what is looked at'
} as const;
const FORCE = { type: 'boolean', description: 'Whether to run what is fresh, too' } as const;

/** The panel; it lives in the main area, and there is one. */
class PipelinePanel extends Sidebar {
  constructor(
    readonly model: PipelineModel,
    options: { label: string; draw: () => JSX.Element }
  ) {
    super({ id: 'nbproof-pipeline', icon: ICON, ...options });
    this.title.label = options.label;
    this.title.closable = true;
    model.changed.connect(() => this.update());
  }

  dispose(): void {
    this.model.dispose();
    super.dispose();
  }
}

export const pipeline: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'Shows pipelines of notebooks, and runs them.',
  autoStart: true,
  optional: [
    ITranslator,
    ICommandPalette,
    ILayoutRestorer,
    INotebookTracker,
    IDefaultFileBrowser,
    ILauncher,
    ISettingRegistry
  ],
  activate: (
    app: JupyterFrontEnd,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    notebooks: INotebookTracker | null,
    browser: IDefaultFileBrowser | null,
    launcher: ILauncher | null,
    settings: ISettingRegistry | null
  ) => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const { commands, serviceManager, shell } = app;
    const tracker = new WidgetTracker<PipelinePanel>({ namespace: 'nbproof-pipeline' });
    let sight: Sight = 'graph';

    const lookedAt = (): string => {
      const front = notebooks?.currentWidget;
      return front && front === shell.currentWidget ? front.context.localPath : (browser?.model.path ?? '');
    };

    const make = (): PipelinePanel => {
      const model = new PipelineModel(client);
      model.sight = sight;
      const open = (path: string): void => void commands.execute('docmanager:open', { path });
      const choose = (path: string): void => void commands.execute(COMMANDS.openPipeline, { path });
      const panel = new PipelinePanel(model, {
        label: trans.__('Pipeline'),
        draw: () => React.createElement(Panel, { model, open, choose, trans })
      });
      const facts = onFacts<IFact>(serviceManager.events, 'pipeline', fact => model.hear(fact));
      const poll = new Poll({
        auto: true,
        factory: () => model.follow(),
        frequency: { interval: FOLLOW_MS, backoff: true, max: 30 * FOLLOW_MS },
        standby: () => !panel.isVisible || document.hidden || !(model.isRunning || model.runsElsewhere),
        name: ID
      });
      // What is saved may be a notebook, a module or the pipeline itself.
      const onFile = (_: unknown, change: Contents.IChangedArgs): void => {
        if (change.type === 'save' && panel.isVisible && !model.isRunning) {
          model.refreshSoon();
        }
      };
      serviceManager.contents.fileChanged.connect(onFile);
      panel.disposed.connect(() => {
        facts.dispose();
        poll.dispose();
        serviceManager.contents.fileChanged.disconnect(onFile);
      });
      return panel;
    };

    const show = async (path: string | undefined): Promise<PipelinePanel> => {
      const asked = path ?? lookedAt();
      let panel = tracker.currentWidget;
      const isNew = panel === null;
      if (panel === null) {
        panel = make();
        shell.add(panel, 'main', { mode: 'split-right' });
        await tracker.add(panel);
      }
      shell.activateById(panel.id);
      if (isNew || path !== undefined) {
        await panel.model.open(asked);
        await tracker.save(panel);
      }
      return panel;
    };

    commands.addCommand(COMMANDS.openPipeline, {
      label: args => (args.isLauncher ? trans.__('Pipeline') : trans.__('Show Pipeline')),
      caption: trans.__('Show the pipeline of this project: what is fresh, what is stale, and why'),
      icon: ICON,
      describedBy: takes({ path: PATH, isLauncher: { type: 'boolean' } }),
      execute: async args => void (await show(args.path as string | undefined))
    });
    commands.addCommand(COMMANDS.runPipeline, {
      label: trans.__('Run Pipeline'),
      caption: trans.__('Run what is stale in the pipeline of this project'),
      describedBy: takes({ path: PATH, force: FORCE }),
      execute: async args => {
        const panel = await show(args.path as string | undefined);
        await panel.model.run(args.force === undefined ? {} : { force: Boolean(args.force) });
      }
    });
    commands.addCommand(COMMANDS.runTask, {
      label: args => (args.downstream ? trans.__('Run Task and Below') : trans.__('Run Task')),
      caption: trans.__('Run one task of the pipeline, and what it needs where that is stale'),
      isEnabled: args => Boolean(args.task ?? tracker.currentWidget?.model.selected),
      describedBy: takes({
        path: PATH,
        task: {
          type: 'string',
          description: 'The task; without it, the one that is selected in the panel'
        },
        downstream: { type: 'boolean', description: 'Whether to run what depends on it, too' },
        force: FORCE
      }),
      execute: async args => {
        const panel = await show(args.path as string | undefined);
        const task = (args.task as string | undefined) ?? panel.model.selected;
        if (task) {
          const force = args.force === undefined ? {} : { force: Boolean(args.force) };
          await panel.model.run({ task, downstream: Boolean(args.downstream), ...force });
        }
      }
    });
    commands.addCommand(COMMANDS.stopRun, {
      label: trans.__('Stop Run of Pipeline'),
      isEnabled: () => tracker.currentWidget?.model.isRunning ?? false,
      describedBy: takes(),
      execute: () => tracker.currentWidget?.model.stop()
    });

    for (const command of [COMMANDS.openPipeline, COMMANDS.runPipeline, COMMANDS.runTask, COMMANDS.stopRun]) {
      palette?.addItem({ command, category: CATEGORY });
    }
    launcher?.add({
      command: COMMANDS.openPipeline,
      args: { isLauncher: true },
      category: trans.__('Other'),
      rank: 20
    });
    void restorer?.restore(tracker, {
      command: COMMANDS.openPipeline,
      args: panel => ({ path: panel.model.view?.path ?? '' }),
      name: () => 'pipeline'
    });
    void settings
      ?.load(ID)
      .then(loaded => {
        const take = (): void => {
          sight = loaded.composite.view === 'list' ? 'list' : 'graph';
        };
        loaded.changed.connect(take);
        take();
      })
      .catch(reason => console.warn('nbproof: the settings of the pipeline panel cannot be read', reason));
  }
};
