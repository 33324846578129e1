// A server that stops: clients are told to connect again. It stops a server
// of its own, so it runs on the test schema alone.
import assert from 'node:assert/strict';
import { createClient as createSSE } from 'graphql-sse';
import WebSocket from 'ws';
import { start, testOwn } from './server.js';

testOwn('1012 on WebSocket, and the end of event streams', async () => {
  const server = await start();
  let terminated;

  const socket = new WebSocket(server.url.replace(/^http/, 'ws'), 'graphql-transport-ws');
  const closed = new Promise((done) => socket.on('close', (code) => done(code)));
  const acknowledged = new Promise((done) => socket.on('message', done));
  socket.on('open', () => socket.send('{"type":"connection_init"}'));
  await acknowledged;
  socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: 'subscription { silent }' } }));

  // graphql-sse takes the end without `complete` as a reason to connect again.
  const retried = new Promise((done) => {
    const sse = createSSE({
      url: server.url,
      retryAttempts: 1,
      retry: async () => done(),
    });
    sse.subscribe({ query: 'subscription { lines { cursor } }' }, {
      next: () => (terminated ??= server.terminate()),
      error: () => {},
      complete: () => assert.fail('the stream completed'),
    });
  });

  assert.equal(await closed, 1012);
  await retried;
  assert.equal(await terminated, 0);
  await server.stop();
});
