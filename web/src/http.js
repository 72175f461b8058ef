import { setHint, setUnreachable } from "./hint.js";
import { authorization } from "./token.js";

// Relative to the page, for a server behind a proxy that adds a path.
const ENDPOINT = new URL("graphql", location.href);

/** Returns the server's response, or one with an error if there is none. Sets the hint. */
export async function overHttp(params) {
  const headers = { "Content-Type": "application/json", ...authorization() };
  const request = JSON.stringify(params);
  let response;
  try {
    response = await fetch(ENDPOINT, { method: "POST", headers, body: request });
  } catch (error) {
    setUnreachable();
    return { errors: [{ message: `The server can't be reached: ${error.message}` }] };
  }
  const body = await response.json().catch(() => undefined);
  setHint(response.status, body);
  return (
    body ?? { errors: [{ message: `The server responded with status ${response.status}, not in JSON.` }] }
  );
}
