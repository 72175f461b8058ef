/** A value that components subscribe to with React's useSyncExternalStore. */
export class Observable {
  #value;
  #subscribers = new Set();

  constructor(value) {
    this.#value = value;
  }

  get = () => this.#value;

  set(value) {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const notify of this.#subscribers) notify(value);
  }

  subscribe = (notify) => {
    this.#subscribers.add(notify);
    return () => this.#subscribers.delete(notify);
  };
}
