// A server that stops: streams are told to connect again, and clients that
// come back to the next server with their cursor miss nothing.
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { start } from './support/server.js';
import { subscribe } from './support/socket.js';
import { Stage } from './support/stage.js';
import { followed, viewers } from './support/viewers.js';

test('1012 on a WebSocket, and the end of an event stream', async () => {
  const server = await start();
  const socket = new WebSocket(server.socketURL, 'graphql-transport-ws');
  const closed = once(socket, 'close');
  await once(socket, 'open');
  socket.send('{"type":"connection_init"}');
  await once(socket, 'message');
  socket.send(JSON.stringify(subscribe('1', 'subscription { events { cursor } }')));

  const stream = await fetch(server.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify({ query: 'subscription { events { cursor } }' }),
  });
  const text = stream.text();
  await server.stop();

  const [code, reason] = await closed;
  assert.equal(code, 1012);
  assert.equal(reason.toString(), 'Service restart');
  // Without `complete`: clients take that as a reason to connect again.
  assert.equal(await text, ': \n\n: the server restarts, connect again\n\n');
});

describe('clients follow a log over a restart', { concurrency: true }, () => {
  for (const [name, view] of Object.entries(viewers)) {
    test(name, async (t) => {
      const stage = await Stage.set(t);
      const { application, proxy, record } = stage;
      let comeBack;
      const back = new Promise((done) => (comeBack = done));

      const completed = view(proxy, record, () => back);
      await application.print(300);
      await record.until(200);
      await stage.stop();

      // The application goes on while there is no server.
      await application.print(600);
      await stage.startAgain();
      comeBack();
      await application.print(900);
      await application.becomeReady();
      await completed;

      await record.isWhole(stage.server, 900);
      assert.equal(proxy.connections, 2);
    });
  }

  test('graphql-ws, which waits as long as it comes with', async (t) => {
    const stage = await Stage.set(t);
    const { application, proxy, record } = stage;
    const closes = [];
    const client = createClient({
      url: proxy.socketURL, webSocketImpl: WebSocket, shouldRetry: () => true,
      on: { closed: ({ code }) => closes.push(code) },
    });

    const completed = followed(client, record);
    await application.print(100);
    await record.until(100);
    proxy.lead(undefined);
    await stage.stop();
    await application.print(200);
    await stage.startAgain();
    await application.becomeReady();
    await completed;

    await record.isWhole(stage.server, 200);
    assert.equal(closes[0], 1012);
    await client.dispose();
  });
});
