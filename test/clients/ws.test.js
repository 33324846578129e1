// graphql-ws as a client, and every close code by hand.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { liveSubscription, ownSchema, start, testLive, testOwn, token } from './server.js';

let server;
before(async () => (server = await start()));
after(() => server.stop());

const socketURL = () => server.url.replace(/^http/, 'ws');
const params = token ? { Authorization: `Bearer ${token}` } : {};
const client = (connectionParams = params, options = {}) =>
  createClient({ url: socketURL(), webSocketImpl: WebSocket, connectionParams, retryAttempts: 0, ...options });

async function collect(iterator) {
  const all = [];
  for await (const result of iterator) all.push(result);
  return all;
}

testOwn('queries, mutations and subscriptions', async () => {
  const c = client();
  assert.deepEqual(await collect(c.iterate({ query: '{ hello }' })).then((r) => r[0].data), { hello: 'world' });
  const [bumped] = await collect(c.iterate({ query: 'mutation { bump }' }));
  assert.equal(typeof bumped.data.bump, 'number');
  const counted = await collect(c.iterate({ query: 'subscription { count(to: 500) }' }));
  assert.deepEqual(counted.map((r) => r.data.count), Array.from({ length: 500 }, (_, i) => i + 1));
  await c.dispose();
});

testLive('a client may leave a subscription and start the next', async () => {
  const c = client();
  for (let i = 0; i < 20; i++) {
    for await (const result of c.iterate({ query: liveSubscription })) {
      assert.equal(result.errors, undefined);
      break;
    }
  }
  await c.dispose();
});

test('errors of a request are an error message', async () => {
  const c = client();
  await assert.rejects(collect(c.iterate({ query: '{ nothingOfThisName }' })), (errors) => {
    assert.equal(errors[0].extensions.code, 'INVALID_INPUT');
    return true;
  });
  await c.dispose();
});

testOwn('a refused client connects once and does not retry', async () => {
  let connections = 0;
  const c = client({ token: 'bad' }, { retryAttempts: 10, retryWait: async () => {}, on: { opened: () => connections++ } });
  await assert.rejects(collect(c.iterate({ query: '{ hello }' })), (closed) => {
    assert.equal(closed.code, 4401);
    return true;
  });
  assert.equal(connections, 1);
});

// dialogue opens a socket, sends each message when it may, and gives the
// close code and what was received.
function dialogue(messages, { protocol = 'graphql-transport-ws' } = {}) {
  return new Promise((done, fail) => {
    const socket = new WebSocket(socketURL(), protocol === null ? [] : protocol);
    const received = [];
    const queue = [...messages];
    const sendNext = () => {
      while (queue.length > 0) {
        const next = queue.shift();
        if (next === 'ack') return;
        socket.send(typeof next === 'string' || Buffer.isBuffer(next) ? next : JSON.stringify(next), () => {});
      }
    };
    socket.on('open', sendNext);
    socket.on('message', (raw) => {
      const message = JSON.parse(raw);
      received.push(message);
      if (message.type === 'connection_ack') sendNext();
    });
    socket.on('close', (code, reason) => done({ code, reason: reason.toString(), received }));
    socket.on('error', fail);
  });
}

const init = { type: 'connection_init', payload: params };
const subscribe = (id, query) => ({ id, type: 'subscribe', payload: { query } });
const anyQuery = '{ __typename }';

const closes = [
  ['text that is not JSON', 4400, ['{']],
  ['a list', 4400, ['[]']],
  ['an unknown type', 4400, [{ type: 'start' }]],
  ['a binary frame', 4400, [Buffer.from('{"type":"ping"}')]],
  ['subscribe without an id', 4400, [init, 'ack', { type: 'subscribe', payload: { query: anyQuery } }]],
  ['subscribe without a query', 4400, [init, 'ack', { id: '1', type: 'subscribe', payload: {} }]],
  ['a message of the server', 4400, [init, 'ack', { id: '1', type: 'next', payload: {} }]],
  ['subscribe before the acknowledgement', 4401, [subscribe('1', anyQuery)]],
  ['two initialisations', 4429, [init, 'ack', init]],
  ['a message of 17 MB', 1009, [init, 'ack', subscribe('1', ' '.repeat(17 << 20))]],
];

for (const [name, code, messages] of closes) {
  test(`${code}: ${name}`, async () => assert.equal((await dialogue(messages)).code, code));
}

testLive('4409: an id that is in use', async () => {
  const { code, reason } = await dialogue([init, 'ack', subscribe('same', liveSubscription), subscribe('same', anyQuery)]);
  assert.equal(code, 4409);
  assert.equal(reason, 'Subscriber for same already exists');
});

test('4406: no or another subprotocol', async () => {
  assert.equal((await dialogue([], { protocol: null })).code, 4406);
  assert.equal((await dialogue([], { protocol: 'graphql-ws' })).code, 4406);
});

test('4408: no initialisation', async () => assert.equal((await dialogue([])).code, 4408));

testOwn('4403: an initialisation that is forbidden', async () => {
  const { code, reason } = await dialogue([{ type: 'connection_init', payload: { token: 'forbidden' } }]);
  assert.equal(code, 4403);
  assert.equal(reason, 'the token may not subscribe');
});

testOwn('4401: a token that is not known, and one that expires', async () => {
  assert.equal((await dialogue([{ type: 'connection_init', payload: { token: 'bad' } }])).code, 4401);
  const expired = await dialogue([{ type: 'connection_init', payload: { token: 'short' } }, 'ack', subscribe('1', 'subscription { silent }')]);
  assert.equal(expired.code, 4401);
  assert.equal(expired.received[0].type, 'connection_ack');
});

test('ping is answered with its payload', async () => {
  const { received } = await dialogue([{ type: 'ping', payload: { a: 1 } }, { type: 'ping' }, { type: 'pong' }, '{']);
  assert.deepEqual(received, [{ type: 'pong', payload: { a: 1 } }, { type: 'pong' }]);
});

testLive('10,000 operations on a socket are refused at the cap of 100', async () => {
  const query = ownSchema ? 'subscription { silent }' : liveSubscription;
  const refused = await new Promise((done, fail) => {
    const socket = new WebSocket(socketURL(), 'graphql-transport-ws');
    const ids = new Set();
    socket.on('open', () => socket.send(JSON.stringify(init)));
    socket.on('error', fail);
    socket.on('message', (raw) => {
      const message = JSON.parse(raw);
      if (message.type === 'connection_ack') {
        for (let i = 0; i < 10_000; i++) socket.send(JSON.stringify(subscribe(`o${i}`, query)));
      } else if (message.type === 'error') {
        assert.equal(message.payload[0].extensions.code, 'RATE_LIMITED');
        ids.add(message.id);
        if (ids.size === 9_900) {
          socket.close();
          done(ids);
        }
      }
    });
  });
  assert.equal(refused.has('o0'), false);
  assert.equal(refused.has('o9999'), true);
});
