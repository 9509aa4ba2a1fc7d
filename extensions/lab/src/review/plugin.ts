/** The review of the notebook that is at the front, in a panel at the side. */

import { ILayoutRestorer, type JupyterFrontEnd, type JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette, InputDialog } from '@jupyterlab/apputils';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import { INotebookTracker, type NotebookPanel } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator, type TranslationBundle } from '@jupyterlab/translation';
import { checkIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { CurrentNotebook } from '../current';
import { onFacts } from '../facts';
import { request } from '../request';
import { Sidebar } from '../sidebar';
import { takes } from '../takes';
import { CATEGORY, COMMANDS, DOMAIN } from '../tokens';
import { question, type IAnswer, type IQuestion } from './dialogs';
import { ReviewModel, type IFact, type IStanding } from './model';
import { ReviewPanel, type IActions } from './panel';

export const review: JupyterFrontEndPlugin<void> = {
  id: 'nbproof:review',
  description: 'Shows how a notebook stands with its reviewers.',
  autoStart: true,
  requires: [INotebookTracker],
  optional: [ITranslator, ICommandPalette, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    tracker: INotebookTracker,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null
  ) => {
    const trans = (translator ?? nullTranslator).load(DOMAIN);
    const current = new CurrentNotebook(tracker);
    const model = new ReviewModel(request);
    const actions = makeActions(app, model, current, trans);
    const panel = new Sidebar({
      id: 'nbproof-review',
      label: trans.__('Review'),
      icon: checkIcon,
      draw: () => React.createElement(ReviewPanel, { model, trans, actions })
    });
    follow(model, current, panel);
    onFacts<IFact>(app.serviceManager.events, 'review', fact => model.hear(fact));
    app.shell.add(panel, 'right', { rank: 900, type: 'nbproof' });
    restorer?.add(panel, panel.id);
    app.commands.addCommand(COMMANDS.showReview, {
      label: trans.__('Show the review of the notebook'),
      describedBy: takes(),
      execute: () => app.shell.activateById(panel.id)
    });
    palette?.addItem({ command: COMMANDS.showReview, category: CATEGORY });
  }
};

/** Keep the model at the notebook that is looked at. Nobody is asked while nobody sees the panel. */
function follow(model: ReviewModel, current: CurrentNotebook, panel: Sidebar): void {
  let context: DocumentRegistry.Context | null = null;
  const isDirty = (): boolean => current.panel?.context.model.dirty ?? false;
  const onState = (): void => model.setDirty(isDirty());
  const onSaved = (): void => {
    model.setDirty(isDirty());
    if (panel.isVisible) {
      void model.refresh();
    }
  };
  const look = (): void => {
    context?.model.stateChanged.disconnect(onState);
    context?.fileChanged.disconnect(onSaved);
    context = current.panel?.context ?? null;
    context?.model.stateChanged.connect(onState);
    context?.fileChanged.connect(onSaved);
    if (panel.isVisible) {
      void model.show(current.path, isDirty());
    }
  };
  current.changed.connect(look);
  panel.shown.connect(() => {
    const isKnown = model.path === current.path;
    void model.show(current.path, isDirty());
    if (isKnown) {
      void model.refresh();
    }
  });
  look();
}

function makeActions(
  app: JupyterFrontEnd,
  model: ReviewModel,
  current: CurrentNotebook,
  trans: TranslationBundle
): IActions {
  /** Put a question about what is shown; what was answered is done if that is still what is shown. */
  const put = async (
    asked: (standing: IStanding) => IQuestion & { carryOut: (answer: IAnswer) => Promise<void> }
  ): Promise<void> => {
    const { standing } = model;
    if (!standing) {
      return;
    }
    const { carryOut, ...words } = asked(standing);
    const answer = await question(standing, trans, words);
    if (answer && model.standing === standing) {
      await carryOut(answer);
    }
  };
  return {
    goTo: place => void goTo(app, current.panel, place),
    save: () => void current.panel?.context.save(),
    ask: () =>
      put(standing => ({
        title: trans.__('Request a review'),
        sentence: trans.__('%1 asks for a review of what is saved now.', standing.asker.name),
        accept: trans.__('Request'),
        carryOut: answer => model.request(answer.comment)
      })),
    approve: () =>
      put(standing => ({
        title: trans.__('Approve'),
        sentence: trans.__('%1 signs that what is bound below is good.', standing.signer.name),
        accept: trans.__('Sign'),
        hasConditions: true,
        carryOut: answer => model.approve(answer.conditions, answer.comment)
      })),
    reject: () =>
      put(standing => ({
        title: trans.__('Reject'),
        sentence: trans.__('%1 signs that what is bound below is not good.', standing.signer.name),
        accept: trans.__('Sign the rejection'),
        isWarning: true,
        carryOut: answer => model.reject(answer.comment)
      })),
    submit: async () => {
      const asked = await InputDialog.getItem({
        title: trans.__('Submit %1 to', model.standing?.package ?? ''),
        items: ['local', 'slurm']
      });
      if (asked.value) {
        await model.submit(asked.value);
      }
    }
  };
}

/** Bring a cell to the front, by its id, or by its place where the file has no ids. */
async function goTo(
  app: JupyterFrontEnd,
  panel: NotebookPanel | null,
  place: { cell: string | null; number: number | null }
): Promise<void> {
  const cells = panel?.content.widgets ?? [];
  const known = cells.findIndex(cell => cell.model.id === place.cell);
  const index = known >= 0 ? known : (place.number ?? 0) - 1;
  if (!panel || !cells[index]) {
    return;
  }
  app.shell.activateById(panel.id);
  panel.content.activeCellIndex = index;
  await panel.content.scrollToCell(cells[index]);
}
