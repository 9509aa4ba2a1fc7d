/** What is asked of the server, while it is asked, and once it has answered. */

import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';
import { h } from './h';

import { Failure, Quiet } from './notice';

export interface ILoaded<T> {
  found: T | null;
  error: unknown;
}

/** Ask anew whenever one of `on` is another; of several answers that of the last question counts. */
export function useLoaded<T>(ask: () => Promise<T>, on: readonly unknown[]): ILoaded<T> {
  const [loaded, setLoaded] = React.useState<ILoaded<T>>({ found: null, error: null });
  React.useEffect(() => {
    let isWanted = true;
    ask().then(
      found => isWanted && setLoaded({ found, error: null }),
      error => isWanted && setLoaded({ found: null, error })
    );
    return () => {
      isWanted = false;
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps -- `on` says when to ask again
  }, on);
  return loaded;
}

export function Loading(props: { loaded: ILoaded<unknown>; trans: TranslationBundle }): JSX.Element | null {
  const { loaded, trans } = props;
  if (loaded.error !== null) {
    return <Failure error={loaded.error} />;
  }
  return loaded.found === null ? <Quiet>{trans.__('Reading…')}</Quiet> : null;
}
