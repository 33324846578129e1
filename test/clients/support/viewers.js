// Viewers of a log: published clients that connect again by themselves. Each
// gives a promise of the stream's completion.
import { EventSource } from 'eventsource';
import { createClient as createSSE } from 'graphql-sse';
import { createClient as createWS } from 'graphql-ws';
import WebSocket from 'ws';
import { followLog } from './record.js';

// viewers connect again whenever again() allows it.
export const viewers = {
  'graphql-ws': (server, record, again) => {
    // Without shouldRetry it gives up when the server cannot be reached at all.
    const client = createWS({
      url: server.socketURL, webSocketImpl: WebSocket, retryAttempts: 20, retryWait: again, shouldRetry: () => true,
    });

    return followed(client, record).finally(() => client.dispose());
  },

  'graphql-sse': (server, record, again) =>
    followed(createSSE({ url: server.url, retryAttempts: 20, retry: again }), record),

  // A browser's EventSource repeats its address, and says by Last-Event-ID
  // where it was.
  'eventsource': async (server, record, again) => {
    const url = new URL(server.url);
    url.searchParams.set('query', followLog);
    url.searchParams.set('variables', JSON.stringify(record.variables));

    let connections = 0;
    const source = new EventSource(url, {
      fetch: async (address, init) => {
        if (connections++ > 0) await again();

        return fetch(address, init);
      },
    });

    try {
      await new Promise((done, fail) => {
        source.addEventListener('complete', done);
        source.addEventListener('next', ({ data }) => {
          try {
            record.take(JSON.parse(data));
          } catch (error) {
            fail(error);
          }
        });
      });
    } finally {
      source.close();
    }
  },
};

// followed follows with a client; the promise is that of the completion.
export function followed(client, record) {
  return new Promise((done, fail) => {
    client.subscribe({ query: followLog, variables: record.variables }, {
      next: (result) => {
        try {
          record.take(result);
        } catch (error) {
          fail(error);
        }
      },
      error: fail,
      complete: done,
    });
  });
}
