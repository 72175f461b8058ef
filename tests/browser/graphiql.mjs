// Page object for GraphiQL.
import { until } from "./browser.mjs";

export class GraphiQL {
  constructor(page, server) {
    this.page = page;
    this.server = server;
    this.editor = page.locator(".graphiql-query-editor");
    this.result = page.locator(".graphiql-response");
    this.token = page.getByLabel("Token", { exact: true });
    this.hint = page.locator(".bar-hint[role=alert] span");
  }

  async visit() {
    await this.page.goto(this.server);
    await this.loaded();
  }

  async loaded() {
    await this.editor.locator(".view-line").first().waitFor();
  }

  async enterToken(token) {
    const schema = this.page.waitForResponse((response) => response.url().endsWith("/graphql"));
    await this.token.fill(token);
    await this.token.press("Enter");
    await schema;
  }

  async tabs() {
    return this.page.locator(".graphiql-tab-button").allInnerTexts();
  }

  /** Name of the active tab. */
  async tab() {
    return this.page.locator(".graphiql-tab-active .graphiql-tab-button").innerText();
  }

  async choose(tab) {
    await this.page.locator(".graphiql-tab-button", { hasText: new RegExp(`^${tab}$`) }).click();
  }

  async close(tab) {
    await this.choose(tab);
    await this.page.locator(".graphiql-tab-active").getByRole("button", { name: /close/i }).click();
  }

  async run() {
    await this.page.getByRole("button", { name: /^Execute query/ }).click();
  }

  async stop() {
    await this.page.getByRole("button", { name: /^Stop query/ }).click();
  }

  /** Visible text of the query or of the result. */
  async text(part) {
    const text = await part.locator(".view-lines").innerText();
    return text.replaceAll("\u00a0", " ");
  }

  async shows(expected) {
    await until(async () => (await this.text(this.result)).includes(expected), `result ${expected}`);
  }

  /** Types into the query after the first line that contains `line`. */
  async typeAfter(line, text) {
    await this.editor.locator(".view-line", { hasText: line }).first().click();
    await this.page.keyboard.press("End");
    await this.page.keyboard.press("Enter");
    await this.page.keyboard.type(text);
  }

  /** Waits for the suggestion, which needs the schema, and accepts it. */
  async accept(suggestion) {
    const row = this.page.locator(".suggest-widget.visible .monaco-list-row.focused");
    await until(async () => {
      if ((await row.count()) && (await row.innerText()).includes(suggestion)) return true;
      await this.page.keyboard.press("Control+Space");
      return false;
    }, `suggestion ${suggestion}`);
    await this.page.keyboard.press("Enter");
  }
}
