import { getOperationAST, parse } from "graphql";
import { overHttp } from "./http.js";
import { streams } from "./streams.js";

/** Sends GraphiQL's operations: subscriptions over a WebSocket, all others over HTTP. */
export async function fetcher(params) {
  const operation = selected(params);
  if (!operation) return overHttp(params);
  const named = { ...params, operationName: operation.name?.value };
  return operation.operation === "subscription" ? streams.start(named) : overHttp(named);
}

/** The operation to run. GraphiQL may still pass the name of the previous tab's operation. */
function selected({ query, operationName }) {
  try {
    const document = parse(query, { noLocation: true });
    return getOperationAST(document, operationName) ?? getOperationAST(document);
  } catch {
    return null; // the server reports the error
  }
}
