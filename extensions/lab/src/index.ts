/** The plugins, one for each duty. */

import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { about } from './about/plugin';
import { explain } from './explain/plugin';

const plugins: JupyterFrontEndPlugin<unknown>[] = [about, explain];

export default plugins;
