// Runs GraphiQL: queries and mutations by POST, subscriptions by
// graphql-transport-ws. What is set in the headers editor goes with both; a
// WebSocket takes it as the payload of connection_init.
import { createClient } from '../vendored/graphql-ws.js';

const { React, ReactDOM, GraphiQL } = window;

const root = document.getElementById('graphiql');
const url = new URL(root.dataset.endpoint, window.location.href);
const socketURL = new URL(url);
socketURL.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';

let current = { key: undefined, fetcher: undefined };

function fetcherFor(headers) {
  const key = JSON.stringify(headers ?? {});

  if (current.key !== key) {
    const wsClient = createClient({
      url: socketURL.href,
      connectionParams: headers,
      retryAttempts: Infinity,
    });
    current.client?.dispose();
    current = {
      key,
      client: wsClient,
      fetcher: GraphiQL.createFetcher({ url: url.href, wsClient, enableIncrementalDelivery: false }),
    };
  }

  return current.fetcher;
}

const fetcher = (params, options) => fetcherFor(options?.headers)(params, options);

ReactDOM.createRoot(root).render(
  React.createElement(GraphiQL, { fetcher, shouldPersistHeaders: false, isHeadersEditorEnabled: true }),
);
