import { createClient } from "graphql-ws";
import { judge, judgeClosing } from "./hint.js";
import { overHttp } from "./http.js";
import { authorization } from "./token.js";

const ENDPOINT = new URL("graphql", location.href.replace(/^http/, "ws"));
const LONGEST_WAIT_MS = 5_000;
const PING_MS = 15_000;
const PONG_MS = 5_000;
// graphql-ws ends a connection with this one itself, to make another.
const TERMINATED = 4499;
// Closings after which the same attempt would only be refused again.
const REFUSALS = new Set([4400, 4401, 4403, 4406, 4409, 4429]);

/**
 * One running subscription, over a WebSocket of its own. It outlives lost connections; one with a
 * variable `$after` goes on after the last `cursor` that came, or from where it began. It shows to
 * whoever is attached.
 */
export class Stream {
  #client;
  #payload;
  #resumable;
  #result = { message: "Connecting…" };
  #end = null;
  #sink = null;
  #stop;
  #lost = false;
  #silence;
  #onEnd;

  constructor(params, onEnd) {
    this.#onEnd = onEnd;
    this.#payload = { ...params, variables: { ...params.variables } };
    this.#resumable = /\$after\b/.test(params.query);
    this.#client = createClient({
      url: ENDPOINT.href,
      connectionParams: () => this.#greeting(),
      retryAttempts: Infinity,
      retryWait: backOff,
      shouldRetry: (event) => !REFUSALS.has(event?.code),
      keepAlive: PING_MS,
      on: {
        ping: (received) => received || this.#expectPong(),
        pong: () => clearTimeout(this.#silence),
        connected: () => this.#connected(),
        closed: (event) => this.#closed(event),
      },
    });
    this.#stop = this.#client.subscribe(this.#payload, {
      next: (result) => this.#next(result),
      error: (error) => this.#finish({ error: explained(error) }),
      complete: () => this.#finish({}),
    });
  }

  get ended() {
    return this.#end !== null;
  }

  /** Shows the last result, and every one to come. */
  attach(sink) {
    this.#sink = sink;
    // not at once: GraphiQL has to know first that there is a subscription
    queueMicrotask(() => {
      this.#sink?.next(this.#result);
      this.#tellEnd();
    });
  }

  detach() {
    this.#sink = null;
  }

  reconnect() {
    if (!this.ended) this.#client.terminate();
  }

  close() {
    this.detach();
    clearTimeout(this.#silence);
    this.#stop();
    this.#client.dispose();
  }

  async #greeting() {
    if (this.#resumable && !this.#payload.variables.after) {
      const { data } = await overHttp({ query: "{ latestCursor }" });
      this.#resumeAfter(data?.latestCursor);
    }
    return authorization();
  }

  // graphql-ws sends the payload anew, as it is then, after each greeting
  #resumeAfter(cursor) {
    if (this.#resumable && cursor) this.#payload.variables.after = cursor;
  }

  #connected() {
    this.#lost = false;
    const { data } = this.#result;
    this.#show(data ? { data } : { message: "Connected: what happens appears here." });
  }

  #next(result) {
    this.#show(result);
    this.#resumeAfter(Object.values(result.data ?? {})[0]?.cursor);
  }

  // A connection can be dead without a closing, after a sleep for example.
  #expectPong() {
    this.#silence = setTimeout(() => this.#client.terminate(), PONG_MS);
  }

  #closed(event) {
    clearTimeout(this.#silence);
    if (this.ended || event?.code === TERMINATED || REFUSALS.has(event?.code)) return;
    if (this.#lost) return; // the first reason tells more than "refused" at each attempt
    this.#lost = true;
    const { data } = this.#result;
    const { message, extensions } = explained(event);
    const error = { message: `${message} Trying again…`, extensions };
    this.#show({ errors: [error], ...(data && { data }) });
  }

  #show(result) {
    this.#result = result;
    this.#sink?.next(result);
  }

  #finish(end) {
    this.#end = end;
    this.#onEnd();
    this.#tellEnd();
  }

  #tellEnd() {
    if (this.#end?.error) this.#sink?.error(this.#end.error);
    else if (this.#end) this.#sink?.complete();
  }
}

async function backOff(retries) {
  const most = Math.min(500 * 2 ** retries, LONGEST_WAIT_MS);
  await new Promise((done) => setTimeout(done, most * (0.5 + Math.random() / 2)));
}

/** An error as the result pane shows it: GraphQL errors as they are, a closing with its code. */
function explained(event) {
  if (Array.isArray(event)) {
    judge(200, { errors: event });
    return event;
  }
  if (typeof event?.code !== "number") {
    return { message: event?.message ?? "The connection failed." };
  }
  judgeClosing(event);
  const reason = event.reason || "no reason given";
  return {
    message: `The connection was closed: ${event.code} (${reason}).`,
    extensions: { closeCode: event.code, closeReason: event.reason },
  };
}
