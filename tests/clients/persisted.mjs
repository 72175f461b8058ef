// Repeats a query with automatic persisted queries, as frontends do.
// node persisted.mjs apollo|urql URL TOKEN GET|POST COUNT: prints a line of JSON for each result, with
// the requests that were sent: the method, "hash", "text" or both, and the response status.
import { createHash } from 'node:crypto';
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { persistedExchange } from '@urql/exchange-persisted';
import { Client, fetchExchange } from 'urql';

const [which, url, token, method, count] = process.argv.slice(2);
const sha256 = (text) => createHash('sha256').update(text).digest('hex');
const headers = { Authorization: `Bearer ${token}` };
const byGet = method === 'GET';
const text = `query Persisted($id: ID!) {
  device(id: $id) { owner config { version } }
  me { id }
}`;

let sent = [];
async function recordedFetch(address, options) {
  const body = options.body ? JSON.parse(options.body) : Object.fromEntries(new URL(address).searchParams);
  const extensions = typeof body.extensions === 'string' ? JSON.parse(body.extensions) : body.extensions;
  const parts = [extensions?.persistedQuery && 'hash', body.query && 'text'].filter(Boolean);
  const response = await fetch(address, options);
  sent.push(`${options.method ?? 'GET'} ${parts.join('+')} ${response.status}`);
  return response;
}

function apollo() {
  const persisted = new PersistedQueryLink({ sha256, useGETForHashedQueries: byGet });
  const http = new HttpLink({ uri: url, fetch: recordedFetch, headers });
  const client = new ApolloClient({ link: ApolloLink.from([persisted, http]), cache: new InMemoryCache() });
  const query = gql(text);
  return (variables) =>
    client.query({ query, variables, fetchPolicy: 'network-only', errorPolicy: 'all' });
}

function urql() {
  const persisted = persistedExchange({
    preferGetForPersistedQueries: byGet,
    generateHash: async (text) => sha256(text),
  });
  const client = new Client({
    url,
    fetch: recordedFetch,
    fetchOptions: { headers },
    exchanges: [persisted, fetchExchange],
    requestPolicy: 'network-only',
    preferGetMethod: false,
  });
  return (variables) => client.query(text, variables).toPromise();
}

const ask = which === 'apollo' ? apollo() : urql();
for (let number = 0; number < Number(count); number++) {
  sent = [];
  const { data, error } = await ask({ id: number.toString(16).padStart(32, '0') });
  console.log(JSON.stringify({ data, error: error?.message, sent }));
}
