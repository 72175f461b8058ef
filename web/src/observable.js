/** A value that components follow with React's useSyncExternalStore. */
export class Observable {
  #value;
  #followers = new Set();

  constructor(value) {
    this.#value = value;
  }

  get = () => this.#value;

  set(value) {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    for (const tell of this.#followers) tell(value);
  }

  follow = (tell) => {
    this.#followers.add(tell);
    return () => this.#followers.delete(tell);
  };
}
