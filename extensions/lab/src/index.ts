/** The plugins, one for each duty. */

import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { about } from './about/plugin';
import { experiments } from './experiments/plugin';
import { explain } from './explain/plugin';
import { mime } from './mime/plugin';
import { pipeline } from './pipeline/plugin';
import { recording } from './recording/plugin';
import { review } from './review/plugin';

const plugins: JupyterFrontEndPlugin<unknown>[] = [
  about,
  experiments,
  explain,
  mime,
  pipeline,
  recording,
  review
];

export default plugins;
