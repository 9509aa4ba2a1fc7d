/** What the server tells every open page. */

import type { Event } from '@jupyterlab/services';
import { DisposableDelegate, type IDisposable } from '@lumino/disposable';

export const EVENT = 'https://nbproof.invalid/events/fact/v1';

/** Hear the facts of one part until the returned value is disposed of. */
export function onFacts<T>(events: Event.IManager, part: string, hear: (facts: T) => void): IDisposable {
  const listen = (_: unknown, emission: Event.Emission): void => {
    const told = emission as unknown as { part?: string; facts?: T };
    if (emission.schema_id === EVENT && told.part === part && told.facts) {
      hear(told.facts);
    }
  };
  events.stream.connect(listen);
  return new DisposableDelegate(() => events.stream.disconnect(listen));
}
