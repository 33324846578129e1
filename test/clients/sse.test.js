// graphql-sse in its distinct connections mode, and what a browser's
// EventSource would see.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { createClient } from 'graphql-sse';
import { start, testOwn, token } from './server.js';

let server;
before(async () => (server = await start()));
after(() => server.stop());

const headers = token ? { authorization: `Bearer ${token}` } : {};
const client = () => createClient({ url: server.url, headers, retryAttempts: 0 });

async function collect(iterator) {
  const all = [];
  for await (const result of iterator) all.push(result);
  return all;
}

test('a query yields one result', async () => {
  const all = await collect(client().iterate({ query: '{ __typename }' }));
  assert.deepEqual(all.map((r) => r.data), [{ __typename: 'Query' }]);
});

test('an invalid document yields its errors', async () => {
  const [result] = await collect(client().iterate({ query: '{ nothingOfThisName }' }));
  assert.equal(result.errors[0].extensions.code, 'INVALID_INPUT');
  assert.equal('data' in result, false);
});

testOwn('a subscription yields every result, then completes', async () => {
  const all = await collect(client().iterate({ query: 'subscription { count(to: 500) }' }));
  assert.deepEqual(all.map((r) => r.data.count), Array.from({ length: 500 }, (_, i) => i + 1));
});

testOwn('a subscription by GET is what EventSource reads', async () => {
  const url = new URL(server.url);
  url.searchParams.set('query', 'subscription { count(to: 2) }');
  const response = await fetch(url, { headers: { accept: 'text/event-stream', ...headers } });
  assert.match(response.headers.get('content-type'), /^text\/event-stream/);
  const events = (await response.text()).split('\n\n').filter((e) => e && !e.startsWith(':'));
  assert.deepEqual(events, [
    'event: next\ndata: {"data":{"count":1}}',
    'event: next\ndata: {"data":{"count":2}}',
    'event: complete\ndata: ',
  ]);
});
