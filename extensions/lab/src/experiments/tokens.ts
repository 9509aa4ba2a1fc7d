/** The names of the panel of experiments. */

export const PLUGIN = 'nbproof:experiments';

/** What the server tells about: its own part, and those whose work makes or changes runs. */
export const PARTS = ['experiments', 'pipeline', 'recording', 'capture'];

export const COMMANDS = {
  open: 'nbproof:open-experiments',
  compare: 'nbproof:compare-runs',
  openRun: 'nbproof:open-run',
  openNotebook: 'nbproof:open-run-notebook',
  restore: 'nbproof:restore-run'
} as const;
