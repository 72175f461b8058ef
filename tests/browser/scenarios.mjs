// Scenarios in the browser, each one a test: `node scenarios.mjs <name> <server> <token>`.
import assert from "node:assert/strict";
import { once } from "node:events";
import { open, until } from "./browser.mjs";
import { GraphiQL } from "./graphiql.mjs";

const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };
const PREPARED = [
  "Welcome",
  "Fleet",
  "Device",
  "UpdateConfig",
  "ConfigChanged",
  "Register",
  "Pending",
  "Approve",
  "Reject",
  "Tokens",
  "NewToken",
  "RevokeToken",
  "RotateToken",
  "Link",
  "Events",
];

const scenarios = {
  async rest_routes({ page, server, token }) {
    await page.goto(`${server}/docs`);
    await page.getByRole("button", { name: "Authorize" }).first().click();
    await page.locator("#auth-bearer-value").fill(token);
    await page.locator(".modal-ux").getByRole("button", { name: "Apply credentials" }).click();
    await page.locator(".modal-ux").getByRole("button", { name: "Close" }).click();
    const routes = await page.locator(".opblock-summary-path").allInnerTexts();
    const plain = routes.map((path) => path.replace(/[^/a-z{}]/g, ""));
    assert.deepEqual(new Set(plain), new Set(["/register", "/topics/{id}", "/config/{id}", "/devices", "/devices/{id}"]));

    const list = page.locator("#operations-devices-get_find");
    await list.locator(".opblock-summary").click();
    await list.getByPlaceholder("place").fill("paris");
    await list.getByRole("button", { name: "Execute" }).click();
    const answer = list.locator(".live-responses-table");
    await until(async () => /"totalCount": 2/.test(await answer.innerText()), "two devices in Paris");
    assert.match(await answer.innerText(), /200/);
    await page.screenshot({ path: process.env.SCREENSHOT, fullPage: true });
  },

  async first_visit({ graphiql, page, token }) {
    await graphiql.visit();
    assert.equal(page.url(), `${graphiql.server}/graphiql`);
    assert.deepEqual(await graphiql.tabs(), PREPARED);
    assert.equal(await graphiql.token.getAttribute("type"), "password");

    await graphiql.enterToken(token);
    await graphiql.typeAfter("totalCount", "pageI");
    await graphiql.accept("pageInfo");
    await graphiql.run(); // GraphiQL adds the fields of pageInfo by itself
    await graphiql.shows('"totalCount": 4');
    await graphiql.shows('"startCursor": "');

    await page.waitForFunction(() => localStorage["graphiql:tabState"].includes("startCursor"));
    // GraphiQL stores the query a second time, at another moment, so that copy may be older.
    await page.evaluate(() => localStorage.setItem("graphiql:query", "{ older }"));
    await page.reload();
    await graphiql.loaded();
    assert.equal(await graphiql.token.inputValue(), token);
    assert.deepEqual(await graphiql.tabs(), PREPARED);
    assert.match(await graphiql.text(graphiql.editor), /Welcome to Rollcall/);
    await graphiql.choose("Tokens");
    await graphiql.run();
    await graphiql.shows('"kind": "ADMIN"');
    await graphiql.choose("Welcome");
    await graphiql.run();
    await graphiql.shows('"startCursor": "');
  },

  async fleet({ graphiql, page, token }) {
    await graphiql.visit();
    await graphiql.enterToken(token);
    await graphiql.choose("Fleet");
    await graphiql.run();
    await graphiql.shows('"place": "Paris"');
    await page.mouse.move(0, 0);
    await page.locator(".graphiql-execute-button:not(:hover)").waitFor();
    await page.screenshot({ path: process.env.SCREENSHOT });
  },

  async prepared_tabs_are_restored({ graphiql, page }) {
    await graphiql.visit();
    await graphiql.close("Fleet");
    await graphiql.choose("Welcome");
    await graphiql.typeAfter("totalCount", "totalCountIsExact");
    await page.getByRole("button", { name: "Prepared tabs" }).click();
    const others = PREPARED.filter((name) => name !== "Fleet");
    assert.deepEqual(await graphiql.tabs(), [...others, "Welcome", "Fleet"]);
    assert.equal(await graphiql.tab(), "Welcome");
    assert.doesNotMatch(await graphiql.text(graphiql.editor), /IsExact/);
    await page.getByRole("button", { name: "Prepared tabs" }).click();
    assert.equal((await graphiql.tabs()).length, PREPARED.length + 1);
  },

  async unknown_token({ graphiql, page, token, problems }) {
    await graphiql.visit();
    await graphiql.enterToken("rca_an-unknown-token");
    await graphiql.hint.filter({ hasText: "refuses this token: This token is unknown." }).waitFor();
    await graphiql.enterToken(token);
    await graphiql.hint.waitFor({ state: "detached" });
    allowed(problems, /401 \(Unauthorized\)/);

    await page.getByRole("button", { name: "Show", exact: true }).click();
    assert.equal(await graphiql.token.getAttribute("type"), "text");
    await page.getByRole("button", { name: "Forget token" }).click();
    assert.equal(await graphiql.token.inputValue(), "");
    assert.doesNotMatch(await page.evaluate(() => JSON.stringify(localStorage)), new RegExp(token));
    await graphiql.run();
    await graphiql.hint.filter({ hasText: "needs a token" }).waitFor();
  },

  async schema_requires_token({ graphiql, token, problems }) {
    await graphiql.visit();
    await graphiql.hint.filter({ hasText: "This needs a token" }).waitFor();
    await graphiql.enterToken(token);
    await graphiql.hint.waitFor({ state: "detached" });
    allowed(problems, /40[13]/);
    await graphiql.typeAfter("totalCount", "pageI");
    await graphiql.accept("pageInfo");
  },

  async live_config_changes({ graphiql, page, token }) {
    const frames = framesOf(page);
    await graphiql.visit();
    await graphiql.enterToken(token);
    await graphiql.choose("ConfigChanged");
    await graphiql.run();
    await graphiql.shows("Connected");
    await page.getByRole("status").filter({ hasText: "1 subscription" }).waitFor();

    await graphiql.choose("UpdateConfig");
    await graphiql.run();
    await graphiql.shows('"intervalSeconds": 10');
    await graphiql.choose("ConfigChanged");
    await graphiql.shows('"intervalSeconds": 10');
    await graphiql.choose("ConfigChanged");
    await graphiql.shows('"intervalSeconds": 10');
    assert.equal(frames.filter(({ type }) => type === "subscribe").length, 1);

    // Another token opens another connection, which resumes after the last cursor.
    const cursor = frames.find(({ type }) => type === "next").payload.data.configChanged.cursor;
    const other = await anotherToken(graphiql.server, token);
    frames.length = 0;
    await graphiql.enterToken(other);
    await until(() => frames.some(({ type }) => type === "subscribe"), "a new connection");
    const [greeting, subscribe] = ["connection_init", "subscribe"].map((wanted) =>
      frames.find(({ type }) => type === wanted),
    );
    assert.deepEqual(greeting.payload, { Authorization: `Bearer ${other}` });
    assert.equal(subscribe.payload.variables.after, cursor);

    await graphiql.stop();
    await page.getByRole("status").filter({ hasText: "subscription" }).waitFor({ state: "hidden" });
  },

  async missed_changes_after_restart({ graphiql, page, token, problems }) {
    await graphiql.visit();
    await graphiql.enterToken(token);
    await graphiql.choose("ConfigChanged");
    await graphiql.run();
    await graphiql.shows("Connected");
    await page.waitForFunction(() => {
      const loaded = performance.getEntriesByType("resource").map(({ name }) => name);
      const wanted = [...document.querySelectorAll("link[rel=prefetch]")].map(({ href }) => href);
      return wanted.every((address) => loaded.includes(address));
    });
    assert.deepEqual(problems, []);
    await requestStep("stop the server");
    await graphiql.shows("The connection was closed: 1012");
    await requestStep("change the config and start the server");
    await graphiql.shows('"intervalSeconds": 20');
    allowed(problems, /WebSocket connection to .* failed|ERR_CONNECTION_REFUSED/);
  },

  async refused_subscription_shows_hint({ graphiql, page }) {
    await graphiql.visit();
    await graphiql.choose("ConfigChanged");
    await graphiql.run();
    await graphiql.shows("The connection was closed: 4");
    await graphiql.hint.filter({ hasText: "needs a token" }).waitFor();
  },

  async phone({ graphiql, page, token }) {
    await graphiql.visit();
    await graphiql.enterToken(token);
    await graphiql.choose("Fleet");
    await graphiql.run();
    await graphiql.shows('"totalCount": 4');
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.equal(width, PHONE.width);
    const [above, below] = [await graphiql.editor.boundingBox(), await graphiql.result.boundingBox()];
    assert.ok(above.y + above.height <= below.y && below.y + below.height <= PHONE.height);

    await page.getByRole("button", { name: "Show Documentation Explorer" }).click();
    const documentation = page.locator(".graphiql-plugin", { hasText: "Root Types" });
    assert.equal((await documentation.boundingBox()).width, PHONE.width);
    await page.getByRole("button", { name: "Hide Documentation Explorer" }).click();
    await graphiql.shows('"totalCount": 4');
  },

  async other_hosts_are_unreachable({ graphiql, page, problems, foreign }) {
    await graphiql.visit();
    const fetched = page.evaluate(() => fetch("http://example.invalid/"));
    await assert.rejects(fetched);
    allowed(problems, /Content Security Policy|Fetch API cannot load/);
    const other = await page.context().newPage();
    for (const address of ["http://example.invalid/", "http://192.0.2.1/"]) {
      await assert.rejects(other.goto(address), /ERR_NAME_NOT_RESOLVED/);
      assert.deepEqual(foreign.splice(0), [address]);
    }
  },
};

/** Frames of the page's WebSockets, sent and received. */
function framesOf(page) {
  const frames = [];
  page.on("websocket", (socket) => {
    for (const direction of ["framesent", "framereceived"]) {
      socket.on(direction, ({ payload }) => frames.push(JSON.parse(payload)));
    }
  });
  return frames;
}

async function anotherToken(server, token) {
  const query = "mutation { createToken(input: {kind: VIEWER}) { secret } }";
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  const body = JSON.stringify({ query });
  const response = await fetch(`${server}/graphql`, { method: "POST", headers, body });
  return (await response.json()).data.createToken.secret;
}

/** Removes expected console problems. Fails if there are none or others. */
function allowed(problems, pattern) {
  assert.notEqual(problems.length, 0);
  for (const problem of problems.splice(0)) assert.match(problem, pattern);
}

/** Asks the test process to perform a step, and waits until it is done. */
async function requestStep(step) {
  console.log(`step: ${step}`);
  await once(process.stdin, "data");
}

const [name, server, token] = process.argv.slice(2);
const { browser, page, problems, foreign } = await open(server, name === "phone" ? PHONE : DESKTOP);
try {
  const graphiql = new GraphiQL(page, server);
  await scenarios[name]({ graphiql, page, server, token, problems, foreign });
  assert.deepEqual(problems, [], "the console");
  assert.deepEqual(foreign, [], "other hosts");
} catch (error) {
  if (process.env.FAILURE) await page.screenshot({ path: process.env.FAILURE });
  console.error(error, { problems, foreign });
  process.exitCode = 1;
} finally {
  await browser.close();
  process.stdin.destroy();
}
