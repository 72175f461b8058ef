import { Observable } from "./observable.js";
import { Stream } from "./stream.js";
import { token } from "./token.js";

/**
 * The running subscriptions, one for each tab. GraphiQL ends a subscription when its tab is left;
 * here it goes on, and when the tab comes back it shows what has come meanwhile.
 */
class Streams {
  /** How many run. */
  count = new Observable(0);

  #byTab = new Map(); // id of the tab -> { stream, key, left }
  #active = null;
  #shown = null;
  #stopped = null;

  constructor() {
    token.follow(() => {
      for (const { stream } of this.#byTab.values()) stream.reconnect();
    });
  }

  /** What GraphiQL subscribes to: the one that goes on in this tab, or a new one. */
  start(params) {
    const tab = this.#active;
    const key = JSON.stringify(params);
    let running = this.#byTab.get(tab);
    if (!running?.left || running.key !== key) {
      this.#end(tab);
      running = { stream: new Stream(params, () => this.#count()), key };
      this.#byTab.set(tab, running);
    }
    running.left = false;
    this.#count();
    return { subscribe: (sink) => this.#attach(tab, running, sink) };
  }

  /** Called with every change of GraphiQL's tabs, and its actions. */
  follow({ tabs, activeTabIndex }, { run, stop }) {
    const before = this.#active;
    this.#active = tabs[activeTabIndex]?.id ?? null;
    for (const id of this.#byTab.keys()) {
      if (!tabs.some((tab) => tab.id === id)) this.#end(id);
    }
    const leaving = this.#byTab.get(before);
    if (leaving && before !== this.#active) leaving.left = true;
    if (this.#shown !== null && this.#shown !== this.#active) stop();
    if (leaving && leaving === this.#stopped && before === this.#active) {
      leaving.left = true; // a click on the tab that is shown already
      queueMicrotask(run);
    }
  }

  /** Whether the tab was left while its subscription ran. */
  wasLeft(id) {
    return this.#byTab.get(id)?.left ?? false;
  }

  #attach(tab, running, sink) {
    this.#shown = tab;
    const done = (tell) => {
      this.#shown = null;
      this.#byTab.delete(tab);
      this.#count();
      tell();
    };
    running.stream.attach({
      next: sink.next,
      error: (error) => done(() => sink.error(error)),
      complete: () => done(sink.complete),
    });
    return { unsubscribe: () => this.#detach(tab, running) };
  }

  #detach(tab, running) {
    this.#shown = null;
    this.#stopped = running;
    running.stream.detach();
    // GraphiQL says "stop" first and then, in the same breath, that the tab has changed.
    queueMicrotask(() => {
      this.#stopped = null;
      if (!running.left && this.#byTab.get(tab) === running) this.#end(tab);
    });
  }

  #end(tab) {
    this.#byTab.get(tab)?.stream.close();
    this.#byTab.delete(tab);
    this.#count();
  }

  #count() {
    this.count.set([...this.#byTab.values()].filter(({ stream }) => !stream.ended).length);
  }
}

export const streams = new Streams();
