import { Observable } from "./observable.js";
import { token } from "./token.js";

const MAKE_ONE = "An administrator makes one with: .venv/bin/rollcall tokens create --kind admin";
const NEEDED = `This needs a token: put yours into the field "Token" above. ${MAKE_ONE}`;
const REFUSALS = new Set(["UNAUTHENTICATED", "FORBIDDEN", "INTROSPECTION_DISABLED"]);

/** What keeps the page from working, and what to do: a text, or null. */
export const hint = new Observable(null);

export function judge(status, answer) {
  hint.set(whatIsWrong(status, answer?.errors?.[0]));
}

export function unreachable() {
  hint.set("The server can't be reached. Is it running? Try again when it is.");
}

/** `closing` has the code and the reason a WebSocket was closed with. */
export function judgeClosing({ code, reason }) {
  if (code === 4401 || code === 4403) hint.set(refused(reason));
}

function whatIsWrong(status, error) {
  const code = error?.extensions?.code;
  if (!token.get() && (status === 401 || status === 403 || REFUSALS.has(code))) return NEEDED;
  if (status === 401 || code === "UNAUTHENTICATED") return refused(error?.message);
  if (status >= 400) return `The server answered ${status}: ${error?.message ?? "no reason given"}`;
  return null;
}

function refused(why) {
  if (!token.get()) return NEEDED;
  return `The server refuses this token${why ? `: ${why}` : "."} Put a valid one into the field "Token" above. ${MAKE_ONE}`;
}
