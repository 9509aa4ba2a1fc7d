/** The plugins, one for each duty. */

import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { about } from './about/plugin';

const plugins: JupyterFrontEndPlugin<unknown>[] = [about];

export default plugins;
