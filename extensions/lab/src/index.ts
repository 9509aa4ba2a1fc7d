/** The plugins, one for each duty. */

import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { about } from './about/plugin';
import { experiments } from './experiments/plugin';
import { pipeline } from './pipeline/plugin';

const plugins: JupyterFrontEndPlugin<unknown>[] = [about, experiments, pipeline];

export default plugins;
