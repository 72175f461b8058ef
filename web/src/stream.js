import { createClient } from "graphql-ws";
import { setHint, setHintForClose } from "./hint.js";
import { overHttp } from "./http.js";
import { authorization } from "./token.js";

const ENDPOINT = new URL("graphql", location.href.replace(/^http/, "ws"));
const MAX_RETRY_MS = 5_000;
const PING_MS = 15_000;
const PONG_MS = 5_000;
// graphql-ws itself uses this close code to start a new connection.
const TERMINATED = 4499;
// Close codes after which another attempt would be refused too.
const REFUSALS = new Set([4400, 4401, 4403, 4406, 4409, 4429]);

/**
 * One running subscription with its own WebSocket. It reconnects after a lost connection. If it has
 * a variable `$after`, it resumes after the last `cursor` received, or from its start. Results go to
 * the attached sink.
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
  #pongTimer;
  #onEnd;

  constructor(params, onEnd) {
    this.#onEnd = onEnd;
    this.#payload = { ...params, variables: { ...params.variables } };
    this.#resumable = /\$after\b/.test(params.query);
    this.#client = createClient({
      url: ENDPOINT.href,
      connectionParams: () => this.#connectionParams(),
      retryAttempts: Infinity,
      retryWait: backOff,
      shouldRetry: (event) => !REFUSALS.has(event?.code),
      keepAlive: PING_MS,
      on: {
        ping: (received) => received || this.#expectPong(),
        pong: () => clearTimeout(this.#pongTimer),
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

  /** Sends the last result and all later ones to the sink. */
  attach(sink) {
    this.#sink = sink;
    // Deferred: GraphiQL must have the subscription first.
    queueMicrotask(() => {
      this.#sink?.next(this.#result);
      this.#notifyEnd();
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
    clearTimeout(this.#pongTimer);
    this.#stop();
    this.#client.dispose();
  }

  async #connectionParams() {
    if (this.#resumable && !this.#payload.variables.after) {
      const { data } = await overHttp({ query: "{ latestCursor }" });
      this.#resumeAfter(data?.latestCursor);
    }
    return authorization();
  }

  // graphql-ws sends the payload again, with its present values, after each reconnection.
  #resumeAfter(cursor) {
    if (this.#resumable && cursor) this.#payload.variables.after = cursor;
  }

  #connected() {
    this.#lost = false;
    const { data } = this.#result;
    this.#show(data ? { data } : { message: "Connected. Events appear here." });
  }

  #next(result) {
    this.#show(result);
    this.#resumeAfter(Object.values(result.data ?? {})[0]?.cursor);
  }

  // A connection can be dead without being closed, for example after the computer slept.
  #expectPong() {
    this.#pongTimer = setTimeout(() => this.#client.terminate(), PONG_MS);
  }

  #closed(event) {
    clearTimeout(this.#pongTimer);
    if (this.ended || event?.code === TERMINATED || REFUSALS.has(event?.code)) return;
    if (this.#lost) return; // keep the first reason; each later attempt would replace it
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
    this.#notifyEnd();
  }

  #notifyEnd() {
    if (this.#end?.error) this.#sink?.error(this.#end.error);
    else if (this.#end) this.#sink?.complete();
  }
}

async function backOff(retries) {
  const limit = Math.min(500 * 2 ** retries, MAX_RETRY_MS);
  await new Promise((done) => setTimeout(done, limit * (0.5 + Math.random() / 2)));
}

/** Formats an error for the result pane: GraphQL errors unchanged, a close event with its code. */
function explained(event) {
  if (Array.isArray(event)) {
    setHint(200, { errors: event });
    return event;
  }
  if (typeof event?.code !== "number") {
    return { message: event?.message ?? "The connection failed." };
  }
  setHintForClose(event);
  const reason = event.reason || "no reason given";
  return {
    message: `The connection was closed: ${event.code} (${reason}).`,
    extensions: { closeCode: event.code, closeReason: event.reason },
  };
}
