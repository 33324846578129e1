// The audit of GraphQL over HTTP.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { auditServer } from 'graphql-http';
import { start, token } from './server.js';

let server;
before(async () => (server = await start()));
after(() => server.stop());

test('graphql-http finds nothing in 61 audits', async () => {
  const results = await auditServer({
    url: server.url,
    fetchFn: (url, init) =>
      fetch(url, { ...init, headers: { ...init?.headers, ...(token && { authorization: `Bearer ${token}` }) } }),
  });

  const failed = results.filter((r) => r.status !== 'ok').map((r) => `${r.id} ${r.name}: ${r.reason}`);
  assert.deepEqual(failed, []);
  assert.equal(results.length, 61);
});
