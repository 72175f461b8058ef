import { Observable } from "./observable.js";
import { Stream } from "./stream.js";
import { token } from "./token.js";

/**
 * The running subscriptions, one for each tab. GraphiQL ends a subscription when another tab is
 * selected; here it continues, and the tab shows the latest result when it is selected again.
 */
class Streams {
  /** Number of running subscriptions. */
  count = new Observable(0);

  #byTab = new Map(); // id of the tab -> { stream, key, left }
  #active = null;
  #shown = null;
  #stopped = null;

  constructor() {
    token.subscribe(() => {
      for (const { stream } of this.#byTab.values()) stream.reconnect();
    });
  }

  /** Returns this tab's running subscription, or a new one, for GraphiQL to subscribe to. */
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

  /** Handles every change of GraphiQL's tabs; `run` and `stop` are its actions. */
  onTabsChange({ tabs, activeTabIndex }, { run, stop }) {
    const before = this.#active;
    this.#active = tabs[activeTabIndex]?.id ?? null;
    for (const id of this.#byTab.keys()) {
      if (!tabs.some((tab) => tab.id === id)) this.#end(id);
    }
    const leaving = this.#byTab.get(before);
    if (leaving && before !== this.#active) leaving.left = true;
    if (this.#shown !== null && this.#shown !== this.#active) stop();
    if (leaving && leaving === this.#stopped && before === this.#active) {
      leaving.left = true; // a click on the active tab
      queueMicrotask(run);
    }
  }

  /** Whether another tab was selected while the tab's subscription ran. */
  wasLeft(id) {
    return this.#byTab.get(id)?.left ?? false;
  }

  #attach(tab, running, sink) {
    this.#shown = tab;
    const done = (notify) => {
      this.#shown = null;
      this.#byTab.delete(tab);
      this.#count();
      notify();
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
    // GraphiQL stops the subscription first and reports the changed tab in the same task.
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
