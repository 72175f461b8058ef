import { judge, unreachable } from "./hint.js";
import { authorization } from "./token.js";

// Relative to the page, for a server behind a proxy that adds a path.
const ENDPOINT = new URL("graphql", location.href);

/** The server's answer, or one that says why there is none; the hint follows it. */
export async function overHttp(params) {
  const headers = { "Content-Type": "application/json", ...authorization() };
  const body = JSON.stringify(params);
  let response;
  try {
    response = await fetch(ENDPOINT, { method: "POST", headers, body });
  } catch (error) {
    unreachable();
    return { errors: [{ message: `The server can't be reached: ${error.message}` }] };
  }
  const answer = await response.json().catch(() => undefined);
  judge(response.status, answer);
  return answer ?? { errors: [{ message: `The server answered ${response.status}, not in JSON.` }] };
}
