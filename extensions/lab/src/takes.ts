/** What a command takes, as JupyterLab wants it described. */

import type { ReadonlyJSONObject } from '@lumino/coreutils';

/** The schema of arguments: what each of them is, by name, and the names of those that must be given. */
export const takes = (
  properties: ReadonlyJSONObject = {},
  required: string[] = []
): { args: ReadonlyJSONObject } => ({ args: { type: 'object', properties, required } });
