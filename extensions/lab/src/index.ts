/** The plugins, one for each duty. */

import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { about } from './about/plugin';
import { review } from './review/plugin';

const plugins: JupyterFrontEndPlugin<unknown>[] = [about, review];

export default plugins;
