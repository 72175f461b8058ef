// The same schema, as far as it is measured, and the same work on the same tables: Mercurius with its
// JIT on Fastify, node-postgres with prepared statements.
import { createHash, randomBytes, pbkdf2Sync } from "node:crypto";
import Fastify from "fastify";
import mercurius from "mercurius";
import pg from "pg";

const [port, connections] = [Number(process.env.PORT), Number(process.env.CONNECTIONS ?? 16)];
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: connections });

const schema = `
  scalar DateTime
  type Topics { data: String! config: String! state: String! status: String! listen: [String!]! }
  type Config { version: Int! intervalSeconds: Int! qos: Int! updatedAt: DateTime! updatedBy: String! }
  type Location { place: String! latitude: Float longitude: Float }
  type Device {
    id: ID! owner: String! location: Location! measurementType: String! sensorModel: String
    firmware: String state: String! topics: Topics! config: Config! inSync: Boolean! online: Boolean!
  }
  type DeviceConnection { nodes: [Device!]! }
  type UserError { code: String! field: String message: String! }
  input LocationInput { place: String! latitude: Float longitude: Float }
  input RegisterDeviceInput {
    mac: String! location: LocationInput! measurementType: String! owner: String
    sensorModel: String firmware: String
  }
  type RegisterDevicePayload { outcome: String token: String device: Device errors: [UserError!]! }
  input UpdateConfigInput { deviceId: ID! intervalSeconds: Int qos: Int }
  type UpdateConfigPayload { config: Config errors: [UserError!]! }
  type Query { me: Device devices(first: Int = 50): DeviceConnection! }
  type Mutation {
    registerDevice(input: RegisterDeviceInput!): RegisterDevicePayload!
    updateConfig(input: UpdateConfigInput!): UpdateConfigPayload!
  }
`;

const NAMES = `o.name AS owner, p.name AS place, m.name AS type
  FROM devices d JOIN owners o ON o.id = d.owner_id JOIN places p ON p.id = d.place_id
  JOIN measurement_types m ON m.id = d.measurement_type_id`;
const statements = {
  token: `SELECT t.kind, t.id AS token_id, t.revoked_at, t.expires_at, x.*
    FROM tokens t LEFT JOIN (SELECT d.*, ${NAMES}) x ON x.id = t.device_id WHERE t.hash = $1`,
  list: `SELECT d.*, ${NAMES} ORDER BY d.number LIMIT $1`,
  levels: `SELECT o.id AS owner, o.slug AS owner_slug, p.id AS place, p.slug AS place_slug,
      m.id AS type, m.slug AS type_slug
    FROM owners o JOIN places p ON p.owner_id = o.id JOIN measurement_types m ON m.owner_id = o.id
    WHERE o.name_key = lower($1) AND p.name_key = lower($2) AND m.name_key = lower($3)`,
  register: `WITH made AS (
      INSERT INTO devices (id, owner_id, place_id, measurement_type_id, topic, latitude, longitude,
        sensor_model, firmware, state, config_version, interval_seconds, qos, config_updated_at,
        config_updated_by, last_seen_at, registered_at, updated_at, search)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'active', 1, 60, 1, now(), $10, now(), now(), now(),
        array_to_tsvector($11::text[]))
      ON CONFLICT DO NOTHING RETURNING *
    ), issued AS (
      INSERT INTO tokens (kind, hash, mqtt_hash, device_id, issued_by, created_at, created_by)
      SELECT 'device', $12, $13, id, $14, now(), $10 FROM made
    ), recorded AS (
      INSERT INTO events (kind, device_id, owner_id, actor, after)
      SELECT 'device_registered', id, owner_id, $10, $15 FROM made
    ) SELECT * FROM made`,
};
const ask = async (name, ...values) =>
  (await pool.query({ name, text: statements[name], values })).rows;

const config = (d) => ({
  version: d.config_version, intervalSeconds: d.interval_seconds, qos: d.qos,
  updatedAt: d.config_updated_at.toISOString(), updatedBy: d.config_updated_by,
});
const topics = (d) => ({
  data: d.topic, config: `${d.topic}/config`, state: `${d.topic}/state`, status: `${d.topic}/status`,
  listen: d.listen,
});
const device = (d) => ({
  id: d.id, owner: d.owner, measurementType: d.type, sensorModel: d.sensor_model,
  location: { place: d.place, latitude: d.latitude, longitude: d.longitude },
  firmware: d.firmware, state: d.state.toUpperCase(), topics: topics(d), config: config(d),
  inSync: d.applied_version === d.config_version, online: d.online,
});

const resolvers = {
  Query: {
    me: (_, __, { caller }) => (caller?.id ? device(caller) : null),
    devices: async (_, { first }, { caller }) => {
      if (caller?.kind !== "admin") throw new Error("FORBIDDEN");
      return { nodes: (await ask("list", first)).map(device) };
    },
  },
  Mutation: {
    registerDevice: async (_, { input }, { caller }) => {
      if (!caller || caller.kind === "viewer") throw new Error("FORBIDDEN");
      const mac = Buffer.from(input.mac.replace(/[^0-9a-f]/gi, ""), "hex");
      if (mac.length !== 6) return { errors: [{ code: "INVALID", field: "mac", message: "No MAC." }] };
      const id = createHash("sha256").update(mac).digest("hex").slice(0, 32);
      const place = input.location;
      const [at] = await ask("levels", input.owner, place.place, input.measurementType);
      const token = `rcd_${randomBytes(18).toString("base64url")}`;
      const salt = randomBytes(12);
      const hashed = pbkdf2Sync(token, salt, 1, 64, "sha512").toString("base64");
      const topic = `${at.owner_slug}/${at.place_slug}/${at.type_slug}/${id}`;
      const facts = {
        owner: input.owner, place: place.place, measurementType: input.measurementType, topic,
        latitude: place.latitude, longitude: place.longitude, sensorModel: input.sensorModel,
        firmware: input.firmware, state: "active", version: 1, intervalSeconds: 60, qos: 1, listen: [],
      };
      const words = [id, input.owner, place.place, input.measurementType, input.sensorModel ?? "x"];
      const [made] = await ask(
        "register", id, at.owner, at.place, at.type, topic, place.latitude, place.longitude,
        input.sensorModel, input.firmware, `${caller.kind}:${caller.token_id}`,
        [...new Set(words.flatMap((w) => w.toLowerCase().split(/\W+/)))].filter(Boolean).sort(),
        createHash("sha256").update(token).digest(), `$7$1$${salt.toString("base64")}$${hashed}`,
        caller.token_id, facts,
      );
      if (!made) return { errors: [{ code: "CONFLICT", field: "mac", message: "It is known." }] };
      const named = { ...made, owner: input.owner, place: place.place, type: input.measurementType };
      return { outcome: "CREATED", token, device: device(named), errors: [] };
    },
  },
};

const app = Fastify({ logger: false });
app.register(mercurius, {
  schema,
  resolvers,
  jit: 1,
  context: async (request) => {
    const secret = request.headers.authorization?.slice(7);
    if (!secret) return {};
    const hash = createHash("sha256").update(secret).digest();
    const [token] = await ask("token", hash);
    const valid = token && !token.revoked_at && !(token.expires_at && token.expires_at <= new Date());
    if (!valid) throw new Error("UNAUTHENTICATED");
    return { caller: token };
  },
});
await app.listen({ port, host: "127.0.0.1" });
console.log(`ready ${port}`);
