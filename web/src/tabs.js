export const preparedTabs = PREPARED_TABS;

/**
 * The tab to begin with: the one left last, else the first prepared one. GraphiQL's own memory of
 * the query is older or newer than that of its tabs, and where they differ it opens one tab more.
 */
export function firstTab() {
  try {
    const { tabs, activeTabIndex } = JSON.parse(localStorage.getItem("graphiql:tabState"));
    return tabs[activeTabIndex];
  } catch {
    return preparedTabs[0];
  }
}

/** The tabs with all prepared ones among them; the missing and the changed ones come last. */
export function withPrepared(tabs) {
  const there = new Set(tabs.map((tab) => tab.query?.trimEnd()));
  const missing = preparedTabs.filter((tab) => !there.has(tab.query));
  return [...tabs, ...missing.map(asTab)];
}

/** As GraphiQL keeps a tab. */
function asTab({ query, variables }) {
  const operationName = /^(?:query|mutation|subscription) (\w+)/m.exec(query)[1];
  return {
    id: crypto.getRandomValues(new Uint32Array(4)).join("-"),
    hash: [query, variables ?? "", ""].join("|"),
    title: operationName,
    query,
    variables,
    headers: null,
    operationName,
    response: null,
  };
}
