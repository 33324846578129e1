// Runs GraphiQL: queries and mutations by POST, subscriptions by
// graphql-transport-ws. What is set in the headers editor goes with both; a
// WebSocket takes it as the payload of connection_init.
import { createClient } from '../vendored/graphql-ws.js';

const { React, ReactDOM, GraphiQL } = window;

const root = document.getElementById('graphiql');
const url = new URL(root.dataset.endpoint, window.location.href);
const socketURL = new URL(url);
socketURL.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';

const post = GraphiQL.createFetcher({ url: url.href, enableIncrementalDelivery: false });

let socket;

// clientFor keeps one client, for the headers that were used last.
function clientFor(headers) {
  const key = JSON.stringify(headers ?? {});

  if (socket?.key !== key) {
    socket?.client.dispose();
    socket = { key, client: createClient({ url: socketURL.href, connectionParams: headers, retryAttempts: Infinity }) };
  }

  return socket.client;
}

function isSubscription({ operationName }, document) {
  return document?.definitions.some(
    (d) =>
      d.kind === 'OperationDefinition' &&
      d.operation === 'subscription' &&
      (!operationName || d.name?.value === operationName),
  );
}

// GraphiQL's own WebSocket fetcher loses events that come right before the
// completion; graphql-ws's iterator does not.
const fetcher = (params, options) =>
  isSubscription(params, options?.documentAST)
    ? clientFor(options.headers).iterate(params)
    : post(params, options);

ReactDOM.createRoot(root).render(
  React.createElement(GraphiQL, { fetcher, shouldPersistHeaders: false, isHeadersEditorEnabled: true }),
);
