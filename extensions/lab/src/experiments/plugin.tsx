/** The panel of experiments in JupyterLab: its place, its commands, and what keeps it up to date. */

import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import {
  ICommandPalette,
  MainAreaWidget,
  Notification,
  WidgetTracker,
  showErrorMessage
} from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator, type TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, searchIcon } from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';
import { Poll, Throttler } from '@lumino/polling';
import { h } from '../h';

import { CurrentNotebook } from '../current';
import { onFacts } from '../facts';
import { RequestError, request } from '../request';
import { Sidebar } from '../sidebar';
import { takes } from '../takes';
import { CATEGORY, DOMAIN } from '../tokens';
import { doors } from './client';
import { ComparePage } from './compare';
import { RunsModel } from './model';
import { ExperimentsPanel } from './panel';
import { RunPage } from './run';
import { COMMANDS, PARTS, PLUGIN } from './tokens';

const PANEL = 'nbp-experiments';
const LEAST_SECONDS = 5;
/** A pipeline tells many facts a second; the list follows at this pace. */
const PACE_MS = 2000;
const RUN_ID = { type: 'string', description: 'The id of a tracked run' } as const;
const PATH = { type: 'string', description: 'A file of the project; that of the panel if left out' } as const;

/** A page of the main area that is drawn again when something about its run is told. */
class Page extends ReactWidget {
  constructor(
    readonly asked: { path: string; runs: string[] },
    private readonly _draw: (version: number) => JSX.Element
  ) {
    super();
    this.addClass('nbp-Page');
    this.node.tabIndex = 0;
  }

  /** Draw again what is newer. */
  renew(): void {
    this._version++;
    this.update();
  }

  render(): JSX.Element {
    return this._draw(this._version);
  }

  private _version = 0;
}

export const experiments: JupyterFrontEndPlugin<void> = {
  id: PLUGIN,
  description: 'Lists, compares, opens and restores tracked runs.',
  autoStart: true,
  optional: [INotebookTracker, ITranslator, ICommandPalette, ILayoutRestorer, ISettingRegistry],
  activate: (
    app: JupyterFrontEnd,
    notebooks: INotebookTracker | null,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    settings: ISettingRegistry | null
  ) => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const model = new RunsModel();
    const panel = addPanel(app, model, trans, restorer);
    const pages = new WidgetTracker<MainAreaWidget<Page>>({ namespace: 'nbproof-experiments' });
    addCommands(app, { model, panel, pages, trans });
    for (const command of [COMMANDS.open, COMMANDS.compare]) {
      palette?.addItem({ command, category: CATEGORY });
    }
    void restorer?.restore(pages, {
      command: COMMANDS.compare,
      args: page => ({ ...page.content.asked }),
      name: page => page.content.asked.runs.join(' ')
    });
    follow(model, panel, notebooks);
    keepUpToDate(app, { model, panel, pages, settings });
  }
};

interface IParts {
  model: RunsModel;
  panel: Sidebar;
  pages: WidgetTracker<MainAreaWidget<Page>>;
}

function addPanel(
  app: JupyterFrontEnd,
  model: RunsModel,
  trans: TranslationBundle,
  restorer: ILayoutRestorer | null
): Sidebar {
  const panel = new Sidebar({
    id: PANEL,
    label: trans.__('Experiments'),
    icon: searchIcon,
    draw: () => <ExperimentsPanel model={model} commands={app.commands} trans={trans} />
  });
  panel.addClass('nbp-mod-filled');
  restorer?.add(panel, PANEL);
  app.shell.add(panel, 'left', { rank: 620, type: 'nbproof' });
  return panel;
}

/** The project that is shown is that of the notebook at hand; nothing is read before the panel is looked at. */
function follow(model: RunsModel, panel: Sidebar, notebooks: INotebookTracker | null): void {
  const current = notebooks ? new CurrentNotebook(notebooks) : null;
  const go = async (): Promise<void> => {
    const path = current?.path ?? '';
    const { project } = await request<{ project: string }>('about', { arguments: { path } });
    await model.follow(path, project);
  };
  const start = (): void => {
    if (panel.isVisible) {
      go().catch(error => console.warn('nbproof: the project is not known', error));
    }
  };
  current?.changed.connect(start);
  panel.shown.connect(start);
}

function keepUpToDate(app: JupyterFrontEnd, parts: IParts & { settings: ISettingRegistry | null }): void {
  const { model, panel, pages, settings } = parts;
  const poll = new Poll({
    name: 'nbproof:experiments',
    auto: false,
    factory: async () => {
      if (panel.isVisible) {
        await model.refresh();
      }
    },
    frequency: { interval: LEAST_SECONDS * 1000, backoff: true, max: 60_000 },
    standby: () => (document.hidden || !panel.isVisible ? true : 'when-hidden')
  });
  void app.restored.then(() => poll.start());
  const soon = new Throttler(() => poll.refresh(), { limit: PACE_MS, edge: 'trailing' });
  for (const part of PARTS) {
    onFacts<{ run?: unknown }>(app.serviceManager.events, part, ({ run }) => {
      if (panel.isVisible) {
        void soon.invoke();
      }
      pages.forEach(page => {
        if (typeof run === 'string' && page.content.asked.runs.includes(run)) {
          page.content.renew();
        }
      });
    });
  }
  settings
    ?.load(PLUGIN)
    .then(loaded => {
      const take = (): void => {
        const asked = Number(loaded.get('refreshSeconds').composite);
        const seconds = Number.isFinite(asked) ? Math.max(LEAST_SECONDS, asked) : LEAST_SECONDS;
        poll.frequency = { ...poll.frequency, interval: seconds * 1000 };
        const metric = loaded.get('metric').composite;
        model.want(typeof metric === 'string' && metric ? { metric } : {});
      };
      loaded.changed.connect(take);
      take();
    })
    .catch(error => console.warn('nbproof: the settings of the experiments are not known', error));
}

function addCommands(app: JupyterFrontEnd, parts: IParts & { trans: TranslationBundle }): void {
  const { model, panel, pages, trans } = parts;
  const { commands } = app;

  const show = (
    title: string,
    asked: { path: string; runs: string[] },
    draw: (version: number) => JSX.Element
  ): void => {
    const id = `nbp-runs-${asked.runs.join('-')}`;
    const open = pages.find(page => page.id === id);
    if (open) {
      return app.shell.activateById(open.id);
    }
    const page = new MainAreaWidget({ content: new Page(asked, draw) });
    page.id = id;
    page.title.label = title;
    page.title.icon = searchIcon;
    page.title.closable = true;
    app.shell.add(page, 'main', { type: 'nbproof' });
    void pages.add(page);
    app.shell.activateById(page.id);
  };

  const openRun = (run: string, path: string): void =>
    show(trans.__('Run %1', run.slice(0, 8)), { path, runs: [run] }, version => (
      <RunPage id={run} path={path} version={version} commands={commands} trans={trans} />
    ));

  commands.addCommand(COMMANDS.open, {
    label: trans.__('Show Experiments'),
    describedBy: takes(),
    execute: () => app.shell.activateById(panel.id)
  });
  commands.addCommand(COMMANDS.openRun, {
    label: trans.__('Open Run'),
    describedBy: takes({ run: RUN_ID, path: PATH }, ['run']),
    execute: args => openRun(text(args, 'run'), text(args, 'path') || model.path)
  });
  commands.addCommand(COMMANDS.compare, {
    label: trans.__('Compare Runs'),
    describedBy: takes({
      runs: {
        type: 'array',
        items: RUN_ID,
        description: 'Two to eight runs; those picked in the panel if left out'
      },
      path: PATH
    }),
    isEnabled: args => Array.isArray(args.runs) || model.picked.length > 1,
    execute: args => {
      const runs = Array.isArray(args.runs) ? args.runs.map(String) : [...model.picked];
      const path = text(args, 'path') || model.path;
      if (runs.length === 1) {
        return openRun(runs[0], path);
      }
      show(trans.__('%1 runs', runs.length), { path, runs }, () => (
        <ComparePage ids={runs} path={path} commands={commands} trans={trans} />
      ));
    }
  });
  model.changed.connect(() => commands.notifyCommandChanged(COMMANDS.compare));
  commands.addCommand(COMMANDS.openNotebook, {
    label: trans.__('Open Executed Notebook of Run'),
    describedBy: takes({ run: RUN_ID, path: PATH }, ['run']),
    execute: args =>
      told(trans, async () => {
        const { path } = await doors.notebook(text(args, 'path') || model.path, text(args, 'run'));
        await commands.execute('docmanager:open', { path });
      })
  });
  commands.addCommand(COMMANDS.restore, {
    label: trans.__('Restore Notebook and Parameters of Run'),
    describedBy: takes(
      {
        run: RUN_ID,
        path: PATH,
        into: { type: 'string', description: 'A folder; that of the project if left out' }
      },
      ['run']
    ),
    execute: args =>
      told(trans, async () => {
        const asked = text(args, 'path') || model.path;
        const { path, put, left } = await doors.restore(asked, text(args, 'run'), text(args, 'into'));
        await commands.execute('docmanager:open', { path });
        Notification.info(
          trans.__('%1 has the parameters of the run: %2', PathExt.basename(path), names(put, trans))
        );
        if (left.length) {
          Notification.warning(
            trans.__('The notebook does not declare these parameters of the run: %1', names(left, trans))
          );
        }
      })
  });
}

function text(args: ReadonlyPartialJSONObject, name: string): string {
  const found = args[name];
  return typeof found === 'string' ? found : '';
}

function names(found: string[], trans: TranslationBundle): string {
  return found.length ? found.join(', ').slice(0, 200) : trans.__('none');
}

/** Carry something out, and tell in a dialog what went wrong. */
async function told(trans: TranslationBundle, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const hint = error instanceof RequestError && error.hint ? ` ${error.hint}` : '';
    await showErrorMessage(
      trans.__('This run'),
      `${error instanceof Error ? error.message : String(error)}${hint}`
    );
  }
}
