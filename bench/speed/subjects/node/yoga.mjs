// graphql-yoga on node:http, with its caches of parsed and validated documents.
import { createServer } from "node:http";
import { createSchema, createYoga } from "graphql-yoga";
import { context, port, resolvers, typeDefs } from "./common.mjs";

const yoga = createYoga({
  schema: createSchema({ typeDefs, resolvers }),
  context: ({ request }) => context(request.headers.get("authorization")),
  graphiql: false,
  landingPage: false,
  logging: false,
});
createServer(yoga).listen(port, "127.0.0.1", () => console.log(`ready ${port}`));
