// Opens Chromium with the network closed: only the server under test may be asked.
import { chromium } from "playwright-core";

const LIMIT_MS = 90_000;
const FLAGS = [
  "--no-sandbox", // in CI it runs as root
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/** A page, and what went wrong in it: `problems` of the console, `foreign` addresses asked for. */
export async function open(server, viewport) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS });
  const context = await browser.newContext({ viewport });
  context.setDefaultTimeout(LIMIT_MS);
  const page = await context.newPage();
  const problems = [];
  const foreign = [];
  const own = new URL(server).host;

  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) problems.push(`${message.type()}: ${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => problems.push(`${error.name}: ${error.message} ${error.stack}`));
  page.on("websocket", (socket) => {
    if (new URL(socket.url()).host !== own) foreign.push(socket.url());
  });
  // Not by interception, which would switch the browser's cache off: FLAGS close the network.
  context.on("request", (request) => {
    const { protocol, host } = new URL(request.url());
    if (protocol !== "data:" && host !== own) foreign.push(request.url());
  });
  return { browser, page, problems, foreign };
}

/** Waits until `condition` holds. */
export async function until(condition, what) {
  const deadline = Date.now() + LIMIT_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Waited in vain: ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
}
