// Schema and resolvers for the servers in this folder: Rollcall's schema as far as it is measured, and
// the same work on the same tables, by node-postgres with prepared statements.
import { createHash, randomBytes, pbkdf2Sync } from "node:crypto";
import pg from "pg";

const connections = Number(process.env.CONNECTIONS ?? 16);
export const port = Number(process.env.PORT);
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: connections });

export const typeDefs = `
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

/** For the server with subscriptions. */
export const subscription = `
  type ConfigChange { cursor: ID! device: Device config: Config! }
  type Subscription { configChanged: ConfigChange! }
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
  register: `WITH created AS (
      INSERT INTO devices (id, owner_id, place_id, measurement_type_id, topic, latitude, longitude,
        sensor_model, firmware, state, config_version, interval_seconds, qos, config_updated_at,
        config_updated_by, last_seen_at, registered_at, updated_at, search)
      VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'active', 1, 60, 1, now(), $10, now(), now(), now(),
        array_to_tsvector($11::text[]))
      ON CONFLICT DO NOTHING RETURNING *
    ), issued AS (
      INSERT INTO tokens (kind, hash, mqtt_hash, device_id, issued_by, created_at, created_by)
      SELECT 'device', $12, $13, id, $14, now(), $10 FROM created
    ), recorded AS (
      INSERT INTO events (kind, device_id, owner_id, actor, after)
      SELECT 'device_registered', id, owner_id, $10, $15 FROM created
    ) SELECT * FROM created`,
  change: `WITH old AS (SELECT * FROM devices WHERE id = $1 FOR UPDATE), changed AS (
      UPDATE devices d SET config_version = d.config_version + 1, interval_seconds = $2,
        config_updated_at = now(), config_updated_by = $3
      FROM old WHERE d.id = old.id AND old.interval_seconds <> $2 RETURNING d.*
    ), replaced AS (
      INSERT INTO past_configs (device_id, version, interval_seconds, qos, updated_at, updated_by)
      SELECT o.id, o.config_version, o.interval_seconds, o.qos, o.config_updated_at,
        o.config_updated_by FROM old o JOIN changed USING (id)
    ), recorded AS (
      INSERT INTO events (kind, device_id, owner_id, actor, before, after)
      SELECT 'config_changed', c.id, c.owner_id, $3,
        jsonb_build_object('version', o.config_version, 'intervalSeconds', o.interval_seconds),
        jsonb_build_object('version', c.config_version, 'intervalSeconds', c.interval_seconds)
      FROM changed c JOIN old o USING (id)
    ) SELECT * FROM changed UNION ALL SELECT * FROM old WHERE NOT EXISTS (SELECT FROM changed)`,
};
const query = async (name, ...values) =>
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

export const resolvers = {
  Query: {
    me: (_, __, { caller }) => (caller?.id ? device(caller) : null),
    devices: async (_, { first }, { caller }) => {
      if (caller?.kind !== "admin") throw new Error("FORBIDDEN");
      return { nodes: (await query("list", first)).map(device) };
    },
  },
  Mutation: {
    updateConfig: async (_, { input }, { caller, pubsub }) => {
      if (caller?.kind !== "admin") throw new Error("FORBIDDEN");
      const { deviceId, intervalSeconds } = input;
      const [found] = await query("change", deviceId, intervalSeconds, `admin:${caller.token_id}`);
      if (!found) return { errors: [{ code: "NOT_FOUND", field: "deviceId", message: "Unknown." }] };
      if (pubsub) {
        const change = { cursor: found.config_version, device: { id: found.id }, config: config(found) };
        pubsub.publish({ topic: "configChanged", payload: { configChanged: change } });
      }
      return { config: config(found), errors: [] };
    },
    registerDevice: async (_, { input }, { caller }) => {
      if (!caller || caller.kind === "viewer") throw new Error("FORBIDDEN");
      const mac = Buffer.from(input.mac.replace(/[^0-9a-f]/gi, ""), "hex");
      if (mac.length !== 6) return { errors: [{ code: "INVALID", field: "mac", message: "Not a MAC address." }] };
      const id = createHash("sha256").update(mac).digest("hex").slice(0, 32);
      const place = input.location;
      const [levels] = await query("levels", input.owner, place.place, input.measurementType);
      const token = `rcd_${randomBytes(18).toString("base64url")}`;
      const salt = randomBytes(12);
      const hashed = pbkdf2Sync(token, salt, 1, 64, "sha512").toString("base64");
      const topic = `${levels.owner_slug}/${levels.place_slug}/${levels.type_slug}/${id}`;
      const facts = {
        owner: input.owner, place: place.place, measurementType: input.measurementType, topic,
        latitude: place.latitude, longitude: place.longitude, sensorModel: input.sensorModel,
        firmware: input.firmware, state: "active", version: 1, intervalSeconds: 60, qos: 1, listen: [],
      };
      const words = [id, input.owner, place.place, input.measurementType, input.sensorModel ?? "x"];
      const [created] = await query(
        "register", id, levels.owner, levels.place, levels.type, topic, place.latitude, place.longitude,
        input.sensorModel, input.firmware, `${caller.kind}:${caller.token_id}`,
        [...new Set(words.flatMap((w) => w.toLowerCase().split(/\W+/)))].filter(Boolean).sort(),
        createHash("sha256").update(token).digest(), `$7$1$${salt.toString("base64")}$${hashed}`,
        caller.token_id, facts,
      );
      if (!created) return { errors: [{ code: "CONFLICT", field: "mac", message: "The device is registered." }] };
      const named = { ...created, owner: input.owner, place: place.place, type: input.measurementType };
      return { outcome: "CREATED", token, device: device(named), errors: [] };
    },
  },
};

/** The context of a request, from its Authorization header. */
export async function context(authorization) {
  const secret = authorization?.slice(7);
  if (!secret) return {};
  const [token] = await query("token", createHash("sha256").update(secret).digest());
  const valid = token && !token.revoked_at && !(token.expires_at && token.expires_at <= new Date());
  if (!valid) throw new Error("UNAUTHENTICATED");
  return { caller: token };
}
