/** The names that the parts share. */

/** The domain of translations. */
export const DOMAIN = 'nbproof';

/** Where commands stand in the palette. */
export const CATEGORY = 'nbproof';

/** Every command: `nbproof:verb-noun`. */
export const COMMANDS = {
  showAbout: 'nbproof:show-about',
  openPipeline: 'nbproof:open-pipeline',
  runPipeline: 'nbproof:run-pipeline',
  runTask: 'nbproof:run-task',
  stopRun: 'nbproof:stop-run',
  openExplain: 'nbproof:open-explain',
  explainModel: 'nbproof:explain-model',
  explainRow: 'nbproof:explain-row',
  showRecording: 'nbproof:show-recording',
  toggleRecording: 'nbproof:toggle-recording',
  showReview: 'nbproof:show-review'
} as const;
