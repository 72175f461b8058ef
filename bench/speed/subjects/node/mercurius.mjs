// Mercurius with its JIT, on Fastify.
import Fastify from "fastify";
import mercurius from "mercurius";
import { context, port, resolvers, subscription, typeDefs } from "./common.mjs";

const app = Fastify({ logger: false });
app.register(mercurius, {
  schema: typeDefs + subscription,
  resolvers: {
    ...resolvers,
    Subscription: {
      configChanged: {
        subscribe: (_, __, { caller, pubsub }) => {
          if (caller?.kind !== "admin") throw new Error("FORBIDDEN");
          return pubsub.subscribe("configChanged");
        },
      },
    },
  },
  jit: 1,
  context: (request) => context(request.headers.authorization),
  subscription: {
    onConnect: ({ payload }) => context(payload?.Authorization),
  },
});
await app.listen({ port, host: "127.0.0.1" });
console.log(`ready ${port}`);
