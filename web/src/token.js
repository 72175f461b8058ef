import { Observable } from "./observable.js";

const KEY = "rollcall:token";

/** The bearer token, stored in this browser; empty if there is none. */
export const token = new Observable(localStorage.getItem(KEY) ?? "");

token.subscribe((value) => {
  if (value) localStorage.setItem(KEY, value);
  else localStorage.removeItem(KEY);
});

// Another window of this page changed it.
addEventListener("storage", (event) => {
  if (event.key === KEY || event.key === null) token.set(localStorage.getItem(KEY) ?? "");
});

export function authorization() {
  return token.get() ? { Authorization: `Bearer ${token.get()}` } : {};
}
