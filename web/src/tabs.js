export const preparedTabs = PREPARED_TABS;

/**
 * The initial tab: the last active one, or else the first prepared one. GraphiQL stores the query
 * apart from its tabs, at other times; if they differ, it would open an additional tab.
 */
export function firstTab() {
  try {
    const { tabs, activeTabIndex } = JSON.parse(localStorage.getItem("graphiql:tabState"));
    return tabs[activeTabIndex];
  } catch {
    return preparedTabs[0];
  }
}

/** Adds prepared tabs that are missing or were changed, at the end. */
export function withPrepared(tabs) {
  const present = new Set(tabs.map((tab) => tab.query?.trimEnd()));
  const missing = preparedTabs.filter((tab) => !present.has(tab.query));
  return [...tabs, ...missing.map(asTab)];
}

/** A prepared tab in GraphiQL's format. */
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
