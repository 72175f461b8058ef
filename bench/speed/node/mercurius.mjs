// Mercurius with its JIT, on Fastify.
import Fastify from "fastify";
import mercurius from "mercurius";
import { context, port, resolvers, typeDefs } from "./common.mjs";

const app = Fastify({ logger: false });
app.register(mercurius, {
  schema: typeDefs,
  resolvers,
  jit: 1,
  context: (request) => context(request.headers.authorization),
});
await app.listen({ port, host: "127.0.0.1" });
console.log(`ready ${port}`);
