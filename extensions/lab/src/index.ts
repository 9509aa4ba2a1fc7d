/** The plugins, one for each duty. */

import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

import { about } from './about/plugin';
import { recording } from './recording/plugin';

const plugins: JupyterFrontEndPlugin<unknown>[] = [about, recording];

export default plugins;
