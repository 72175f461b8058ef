// Subscribes to configChanged with the clients of graphql-ws and graphql-sse, as a frontend does.
// node subscribe.mjs ws|sse URL TOKEN COUNT [AFTER]: prints a line of JSON for each change and ends
// after COUNT changes. When the connection is lost, it resumes after the last change.
import { createClient as createSocketClient } from 'graphql-ws';
import { createClient as createEventClient } from 'graphql-sse';
import WebSocket from 'ws';

const [protocol, url, token, count, after] = process.argv.slice(2);
const authorization = { Authorization: `Bearer ${token}` };
const retryAttempts = Number(process.env.RETRIES ?? 400);
const pause = () => new Promise((done) => setTimeout(done, 50));

const client =
  protocol === 'ws'
    ? createSocketClient({
        url: url.replace('http', 'ws'),
        connectionParams: authorization,
        webSocketImpl: WebSocket,
        retryAttempts,
        retryWait: pause,
        shouldRetry: () => true,
        on: {
          connected: () => console.error('connected'),
          closed: ({ code, reason }) => console.error(`closed ${code} ${reason}`),
        },
      })
    : createEventClient({
        url,
        headers: authorization,
        retryAttempts,
        retry: pause,
      });

const request = {
  query: `subscription ($after: ID) {
    configChanged(after: $after) {
      cursor device { id inSync } config { version intervalSeconds } previous { version }
    }
  }`,
  variables: { after },
};

let seen = 0;
const stop = client.subscribe(request, {
  next: ({ data, errors }) => {
    if (errors) return console.error(JSON.stringify(errors));
    console.log(JSON.stringify(data.configChanged));
    // The client sends this object again when it reconnects.
    request.variables.after = data.configChanged.cursor;
    if (++seen === Number(count)) stop();
  },
  error: (error) => {
    console.error('error', error.code ?? error.response?.status, error.reason ?? error.message);
    process.exit(1);
  },
  complete: () => process.exit(0),
});
