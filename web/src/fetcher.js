import { getOperationAST, parse } from "graphql";
import { overHttp } from "./http.js";
import { streams } from "./streams.js";

/** How GraphiQL asks the server: subscriptions over a WebSocket, everything else over HTTP. */
export async function fetcher(params) {
  const operation = selected(params);
  if (!operation) return overHttp(params);
  const named = { ...params, operationName: operation.name?.value };
  return operation.operation === "subscription" ? streams.start(named) : overHttp(named);
}

/** The operation to run; GraphiQL's name for it may still be that of the tab left just now. */
function selected({ query, operationName }) {
  try {
    const document = parse(query, { noLocation: true });
    return getOperationAST(document, operationName) ?? getOperationAST(document);
  } catch {
    return null; // the server says what is wrong with it
  }
}
