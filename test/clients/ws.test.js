// graphql-transport-ws by hand: every close code, and what else the protocol
// asks for; and what graphql-ws makes of being refused.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { ask, collect } from './support/ask.js';
import { start } from './support/server.js';
import { dialogue, subscribe } from './support/socket.js';

const token = 'a-token-of-the-clients-tests';
const init = { type: 'connection_init', payload: { Authorization: `Bearer ${token}` } };
const anyQuery = '{ __typename }';

// Nothing happens after the journal's end, and something after its start.
const silent = 'subscription { events { cursor } }';
let telling;

let server;
before(async () => {
  server = await start({ token, dev: false });
  const { events } = await ask(server, '{ events(first: 1) { position } }');
  await ask(server, 'mutation { createService(input: {name: "checkout"}) { service { id } } }');
  telling = `subscription { events(after: "${events.position}") { cursor event { message } } }`;
});
after(() => server.stop());

const client = (payload, options = {}) =>
  createClient({ url: server.socketURL, webSocketImpl: WebSocket, connectionParams: payload, retryAttempts: 0, ...options });

const closes = [
  ['text that is not JSON', 4400, ['{']],
  ['a list', 4400, ['[]']],
  ['an unknown type', 4400, [{ type: 'start' }]],
  ['a binary frame', 4400, [Buffer.from('{"type":"ping"}')]],
  ['subscribe without an id', 4400, [init, 'ack', { type: 'subscribe', payload: { query: anyQuery } }]],
  ['subscribe without a query', 4400, [init, 'ack', { id: '1', type: 'subscribe', payload: {} }]],
  ['a message of the server', 4400, [init, 'ack', { id: '1', type: 'next', payload: {} }]],
  ['no token', 4401, [{ type: 'connection_init' }]],
  ['a bad token', 4401, [{ type: 'connection_init', payload: { Authorization: 'Bearer of-bad-news-again' } }]],
  ['subscribe before the initialisation', 4401, [subscribe('1', anyQuery)]],
  ['no subprotocol', 4406, [], null],
  ['the subprotocol of subscriptions-transport-ws', 4406, [], 'graphql-ws'],
  ['no initialisation', 4408, []],
  ['an id that is in use', 4409, [init, 'ack', subscribe('same', silent), subscribe('same', anyQuery)]],
  ['two initialisations', 4429, [init, 'ack', init]],
  ['a frame of 17 MB', 1009, [init, 'ack', subscribe('1', ' '.repeat(17_000_000))]],
];

describe('close codes', { concurrency: true }, () => {
  for (const [name, code, messages, protocol] of closes) {
    test(`${code}: ${name}`, async () => {
      const closed = await dialogue(server, messages, protocol);
      assert.equal(closed.code, code, closed.reason);
    });
  }
});

test('a client with a bad token connects once and does not retry', async () => {
  let connections = 0;
  const refused = client({ Authorization: 'Bearer of-bad-news-again' }, {
    retryAttempts: 10, retryWait: async () => {}, shouldRetry: () => true, on: { opened: () => connections++ },
  });
  await assert.rejects(collect(refused.iterate({ query: anyQuery })), (closed) => {
    assert.equal(closed.code, 4401);
    assert.equal(closed.reason, 'this token is not known');

    return true;
  });
  assert.equal(connections, 1);
});

test('a client leaves a subscription and starts the next', async () => {
  const c = client(init.payload);
  for (let i = 0; i < 20; i++) {
    for await (const { data, errors } of c.iterate({ query: telling })) {
      assert.equal(errors, undefined);
      assert.match(data.events.event.message, /checkout/);
      break;
    }
  }
  await c.dispose();
});

test('errors of a request are an error message', async () => {
  const c = client(init.payload);
  await assert.rejects(collect(c.iterate({ query: '{ nothingOfThisName }' })), (errors) => {
    assert.equal(errors[0].extensions.code, 'INVALID_INPUT');

    return true;
  });
  await c.dispose();
});

test('ping is answered with its payload', async () => {
  const { received } = await dialogue(server, [{ type: 'ping', payload: { a: 1 } }, { type: 'ping' }, { type: 'pong' }, '{']);
  assert.deepEqual(received, [{ type: 'pong', payload: { a: 1 } }, { type: 'pong' }]);
});

test('10,000 operations on a socket are refused at the cap of 100', async () => {
  const operations = Array.from({ length: 10_000 }, (_, i) => subscribe(`o${i}`, silent));
  const refused = [];
  // Those that run are silent, so that what is received is of the others.
  const { code, received } = await dialogue(server, [init, 'ack', ...operations], undefined, (message) => {
    if (message.type === 'error') refused.push(message.id);

    return refused.length === 9_900;
  });

  assert.equal(code, 1000);
  assert.deepEqual(refused, operations.slice(100).map(({ id }) => id));
  for (const { type, payload } of received.slice(1)) {
    assert.equal(type, 'error');
    assert.equal(payload[0].extensions.code, 'RATE_LIMITED');
  }
});
