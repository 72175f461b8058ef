import { Observable } from "./observable.js";
import { token } from "./token.js";

const CREATE_TOKEN = "An administrator creates one with: .venv/bin/rollcall tokens create --kind admin";
const NEEDED = `This needs a token: put yours into the field "Token" above. ${CREATE_TOKEN}`;
const REFUSALS = new Set(["UNAUTHENTICATED", "FORBIDDEN", "INTROSPECTION_DISABLED"]);

/** Why the page does not work and what to do: a text, or null. */
export const hint = new Observable(null);

export function setHint(status, body) {
  hint.set(hintFor(status, body?.errors?.[0]));
}

export function setUnreachable() {
  hint.set("The server can't be reached. Start it if it is not running, then try again.");
}

/** Sets the hint from the code and reason with which a WebSocket was closed. */
export function setHintForClose({ code, reason }) {
  if (code === 4401 || code === 4403) hint.set(refused(reason));
}

function hintFor(status, error) {
  const code = error?.extensions?.code;
  if (!token.get() && (status === 401 || status === 403 || REFUSALS.has(code))) return NEEDED;
  if (status === 401 || code === "UNAUTHENTICATED") return refused(error?.message);
  if (status >= 400) return `The server responded with status ${status}: ${error?.message ?? "no reason given"}`;
  return null;
}

function refused(why) {
  if (!token.get()) return NEEDED;
  return `The server refuses this token${why ? `: ${why}` : "."} Put a valid one into the field "Token" above. ${CREATE_TOKEN}`;
}
