/** The recording in JupyterLab: its panel, its place in the status bar, its commands and the marks on cells. */

import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import type { ICodeCellModel } from '@jupyterlab/cells';
import { INotebookTracker, NotebookActions, type NotebookPanel } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { historyIcon, MenuSvg } from '@jupyterlab/ui-components';
import { Signal } from '@lumino/signaling';
import type { Menu } from '@lumino/widgets';
import * as React from 'react';

import { CurrentNotebook } from '../current';
import { onFacts } from '../facts';
import { request } from '../request';
import { Sidebar } from '../sidebar';
import { takes } from '../takes';
import { CATEGORY, COMMANDS, DOMAIN } from '../tokens';
import { CellMarks } from './marks';
import { LEVELS, RecordingModel, type ICell, type IFacts, type IServer, type Level } from './model';
import { RecordingPanel, type IActions } from './panel';
import { RecordingStatus } from './status';
import { levelWords } from './words';

const ID = 'nbproof:recording';
const PANEL = 'nbproof-recording';
const RESTART_AND_RUN = 'notebook:restart-run-all';

const SERVER: IServer = {
  recording: path => request('recording', { arguments: { path } }),
  switch: (path, level) => request('recording', { body: { path, level } }),
  following: (path, cells) => request('recording/following', { body: { path, cells } })
};

/** What one open notebook has of ours. */
interface IOpen {
  model: RecordingModel;
  marks: CellMarks;
}

export const recording: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'Shows what a notebook has executed, and which results no longer follow from its code.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ITranslator, ICommandPalette, ISettingRegistry, IStatusBar, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    registry: ISettingRegistry | null,
    statusBar: IStatusBar | null,
    restorer: ILayoutRestorer | null
  ) => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const current = new CurrentNotebook(tracker);
    const open = new Map<NotebookPanel, IOpen>();
    // Emits when another notebook is looked at, and when anything of the one that is changes.
    const shown = new Signal<object, void>({});
    const chosen: { level: Level; marks: boolean } = { level: 'metadata', marks: true };
    const model = (): RecordingModel | null => (current.panel && open.get(current.panel)?.model) || null;

    const meet = (_: unknown, panel: NotebookPanel): void => {
      void panel.context.ready.then(() => {
        if (!panel.isDisposed) {
          open.set(panel, follow(panel, chosen.marks));
          shown.emit();
        }
      });
    };
    const follow = (panel: NotebookPanel, withMarks: boolean): IOpen => {
      const own = new RecordingModel(
        SERVER,
        () => panel.context.localPath,
        () => cellsOf(panel)
      );
      const marks = new CellMarks(panel, own, trans);
      const look = (): void => void own.refresh();
      const edit = (): void => own.edited();
      marks.isShown = withMarks;
      own.changed.connect(() => {
        if (model() === own) {
          shown.emit();
          app.commands.notifyCommandChanged(COMMANDS.toggleRecording);
        }
      });
      panel.content.model?.contentChanged.connect(edit);
      panel.context.pathChanged.connect(look);
      panel.sessionContext.sessionChanged.connect(look);
      panel.disposed.connect(() => {
        panel.sessionContext.sessionChanged.disconnect(look);
        open.delete(panel);
        marks.dispose();
        own.dispose();
        shown.emit();
      });
      look();
      return { model: own, marks };
    };
    tracker.forEach(panel => meet(null, panel));
    tracker.widgetAdded.connect(meet);
    onFacts<IFacts>(app.serviceManager.events, 'recording', facts =>
      open.forEach(one => one.model.hear(facts))
    );
    // The page knows first that a cell is about to run; what ran, the server says.
    NotebookActions.executionScheduled.connect((_, { notebook }) => {
      open.forEach(({ model: own }, panel) => {
        if (panel.content === notebook) {
          void own.judge();
        }
      });
    });
    current.changed.connect(() => {
      shown.emit();
      app.commands.notifyCommandChanged(COMMANDS.toggleRecording);
    });

    const toggle = async (level?: Level): Promise<void> => {
      const own = model();
      if (own) {
        const isOn = (own.recording?.level ?? 'off') !== 'off';
        await own.switchTo(level ?? (isOn ? 'off' : chosen.level));
      }
    };
    const actions: IActions = {
      goTo: cellId => void goTo(current.panel, cellId),
      restartAndRunAll: () => void app.commands.execute(RESTART_AND_RUN),
      toggle: level => void toggle(level),
      placeOf: cellId => placeOf(current.panel, cellId)
    };

    app.commands.addCommand(COMMANDS.toggleRecording, {
      label: args =>
        isLevel(args.level)
          ? trans.__('Record this notebook: %1', levelWords(args.level, trans))
          : trans.__('Record This Notebook'),
      describedBy: takes({
        level: {
          type: 'string',
          enum: [...LEVELS],
          description: trans.__(
            'off, metadata or full; without it, recording is switched off where it is on, and on where it is off'
          )
        }
      }),
      isEnabled: () => !!model()?.recording,
      isToggleable: true,
      isToggled: args => {
        const level = model()?.recording?.level ?? 'off';
        return isLevel(args.level) ? level === args.level : level !== 'off';
      },
      execute: args => toggle(isLevel(args.level) ? args.level : undefined)
    });
    app.commands.addCommand(COMMANDS.showRecording, {
      label: trans.__('Show Recording'),
      describedBy: takes(),
      execute: () => app.shell.activateById(PANEL)
    });
    palette?.addItem({ command: COMMANDS.showRecording, category: CATEGORY });
    LEVELS.forEach(level =>
      palette?.addItem({ command: COMMANDS.toggleRecording, category: CATEGORY, args: { level } })
    );

    const panel = new Sidebar({
      id: PANEL,
      label: trans.__('Recording'),
      icon: historyIcon,
      draw: () =>
        React.createElement(RecordingPanel, { current: model, currentChanged: shown, actions, trans })
    });
    app.shell.add(panel, 'right', { rank: 1100, type: 'nbproof' });
    restorer?.add(panel, PANEL);

    if (statusBar) {
      const menu = levelMenu(app);
      const item = new RecordingStatus({
        shown: () => model()?.recording ?? null,
        changed: shown,
        choose: place => menu.open(place.left, place.top),
        trans
      });
      statusBar.registerStatusItem(ID, {
        item,
        align: 'left',
        rank: 100,
        isActive: () => !!current.panel && tracker.currentWidget === app.shell.currentWidget,
        activeStateChanged: shown
      });
    }
    void registry?.load(ID).then(settings => {
      const read = (): void => {
        chosen.level = settings.get('level').composite === 'full' ? 'full' : 'metadata';
        chosen.marks = settings.get('marks').composite !== false;
        open.forEach(one => (one.marks.isShown = chosen.marks));
      };
      settings.changed.connect(read);
      read();
    });
  }
};

function isLevel(value: unknown): value is Level {
  return LEVELS.includes(value as Level);
}

function levelMenu(app: JupyterFrontEnd): Menu {
  const menu = new MenuSvg({ commands: app.commands });
  LEVELS.forEach(level => menu.addItem({ command: COMMANDS.toggleRecording, args: { level } }));
  menu.addItem({ type: 'separator' });
  menu.addItem({ command: COMMANDS.showRecording });
  return menu;
}

/** The cells as they stand in the page. */
export function cellsOf(panel: NotebookPanel): ICell[] {
  const model = panel.content.model;
  const cells = model ? [...model.cells] : [];
  return cells.map(cell => ({
    id: cell.id,
    kind: cell.type,
    source: cell.type === 'code' ? cell.sharedModel.getSource() : '',
    tags: tagsOf(cell.getMetadata('tags')),
    count: cell.type === 'code' ? (cell as ICodeCellModel).executionCount : null
  }));
}

function tagsOf(found: unknown): string[] {
  return Array.isArray(found) ? found.filter((tag): tag is string => typeof tag === 'string') : [];
}

function placeOf(panel: NotebookPanel | null, cellId: string | null): number {
  const cells = panel?.content.widgets ?? [];
  return cellId === null ? 0 : cells.findIndex(cell => cell.model.id === cellId) + 1;
}

async function goTo(panel: NotebookPanel | null, cellId: string): Promise<void> {
  const place = placeOf(panel, cellId);
  if (!panel || !place) {
    return;
  }
  panel.content.activeCellIndex = place - 1;
  const cell = panel.content.widgets[place - 1];
  await panel.content.scrollToCell(cell, 'center');
  panel.content.deselectAll();
  panel.content.node.focus();
}
