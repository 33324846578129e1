// The audit of GraphQL over HTTP.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { buildClientSchema, getIntrospectionQuery } from 'graphql';
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

test('the largest introspection query passes the limits', async () => {
  const query = getIntrospectionQuery({
    descriptions: true, specifiedByUrl: true, directiveIsRepeatable: true, schemaDescription: true, inputValueDeprecation: true, oneOf: true,
  });
  const response = await fetch(server.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ query }),
  });
  const result = await response.json();
  assert.equal(result.errors, undefined);
  assert.equal(buildClientSchema(result.data).getQueryType().name, 'Query');
  assert.ok(result.extensions.cost.requested <= result.extensions.cost.maximum);
});
