/** The one way to the server's doors below `/nbproof/`. */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

export const NAMESPACE = 'nbproof';

/** What the server would not or could not do: one sentence, and what to do next. */
export class RequestError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly hint: string = '',
    readonly kind: string = 'RequestError'
  ) {
    super(message);
    this.name = kind;
  }
}

export interface IRequest {
  /** Part of the address; a number is written as text. */
  arguments?: Record<string, string | number>;
  /** What is to be carried out: with it the request is a POST. */
  body?: object;
  /** Ends the request early. */
  signal?: AbortSignal;
  settings?: ServerConnection.ISettings;
}

/** Ask a door; raises `RequestError`. The token and the XSRF cookie are JupyterLab's own care. */
export async function request<T>(path: string, options: IRequest = {}): Promise<T> {
  const settings = options.settings ?? ServerConnection.makeSettings();
  const asked = Object.entries(options.arguments ?? {}).map(([name, value]) => [name, String(value)]);
  const query = asked.length ? URLExt.objectToQueryString(Object.fromEntries(asked)) : '';
  const address = URLExt.join(settings.baseUrl, NAMESPACE, path) + query;
  const init: RequestInit = options.body
    ? { method: 'POST', body: JSON.stringify(options.body), signal: options.signal }
    : { method: 'GET', signal: options.signal };
  const response = await ServerConnection.makeRequest(address, init, settings);
  const text = await response.text();
  let found: { message?: unknown; hint?: unknown; error?: unknown };
  try {
    found = JSON.parse(text);
  } catch {
    throw new RequestError(response.status, `the server answered ${response.status} without JSON`);
  }
  if (!response.ok) {
    const message =
      typeof found.message === 'string' ? found.message : `the server answered ${response.status}`;
    throw new RequestError(
      response.status,
      message,
      typeof found.hint === 'string' ? found.hint : '',
      typeof found.error === 'string' ? found.error : undefined
    );
  }
  return found as T;
}
