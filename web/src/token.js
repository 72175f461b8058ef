import { Observable } from "./observable.js";

const KEY = "rollcall:token";

/** The bearer token, remembered in this browser; empty for none. */
export const token = new Observable(localStorage.getItem(KEY) ?? "");

token.follow((value) => {
  if (value) localStorage.setItem(KEY, value);
  else localStorage.removeItem(KEY);
});

// Another window of this page has changed it.
addEventListener("storage", (event) => {
  if (event.key === KEY || event.key === null) token.set(localStorage.getItem(KEY) ?? "");
});

export function authorization() {
  return token.get() ? { Authorization: `Bearer ${token.get()}` } : {};
}
