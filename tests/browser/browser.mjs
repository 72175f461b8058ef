// Opens Chromium without network access, except to the server under test.
import { chromium } from "playwright-core";

const LIMIT_MS = 90_000;
const FLAGS = [
  "--no-sandbox", // required as root in CI
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/** Returns a page with its console errors (`problems`) and requests to other hosts (`foreign`). */
export async function open(server, viewport) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS });
  const context = await browser.newContext({ viewport });
  context.setDefaultTimeout(LIMIT_MS);
  const page = await context.newPage();
  const problems = [];
  const foreign = [];
  const serverHost = new URL(server).host;

  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) problems.push(`${message.type()}: ${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => problems.push(`${error.name}: ${error.message} ${error.stack}`));
  page.on("websocket", (socket) => {
    if (new URL(socket.url()).host !== serverHost) foreign.push(socket.url());
  });
  // Interception would disable the browser's cache. FLAGS block the network instead.
  context.on("request", (request) => {
    const { protocol, host } = new URL(request.url());
    if (protocol !== "data:" && host !== serverHost) foreign.push(request.url());
  });
  return { browser, page, problems, foreign };
}

/** Waits until `condition` holds; `what` is for the error message. */
export async function until(condition, what) {
  const deadline = Date.now() + LIMIT_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Timeout: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}
