// GraphQL over HTTP: its audit, and how an event stream is written.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { buildClientSchema, getIntrospectionQuery } from 'graphql';
import { auditServer } from 'graphql-http';
import { createClient } from 'graphql-sse';
import { ask, collect } from './support/ask.js';
import { contract, differences, without } from './support/contract.js';
import { start } from './support/server.js';

const audits = 61;
const token = 'a-token-of-the-clients-tests';

for (const [kind, options] of [['with dev', {}], ['with a token', { token, dev: false }]]) {
  describe(`a server ${kind}`, () => {
    let server;
    before(async () => (server = await start(options)));
    after(() => server.stop());

    const fetchFn = (url, init) => fetch(url, { ...init, headers: { ...init?.headers, ...server.headers } });

    test('graphql-http finds nothing in 61 audits', async () => {
      const results = await auditServer({ url: server.url, fetchFn });

      const failed = results.filter((r) => r.status !== 'ok').map((r) => `${r.id} ${r.name}: ${r.reason}`);
      assert.deepEqual(failed, []);
      assert.equal(new Set(results.map((r) => r.id)).size, audits);
    });

    test('the largest introspection query passes the limits, and gives the contract', async () => {
      const query = getIntrospectionQuery({
        descriptions: true, specifiedByUrl: true, directiveIsRepeatable: true, schemaDescription: true,
        inputValueDeprecation: true, oneOf: true,
      });
      const told = buildClientSchema(await ask(server, query));
      assert.equal(told.getType('WorkloadInput').isOneOf, true);
      // gqlgen tells of @defer too; the server answers such a document at once.
      assert.deepEqual(differences(contract(), without('defer', told)), []);
    });

    test('graphql-sse: a query yields one result', async () => {
      const client = createClient({ url: server.url, headers: server.headers, retryAttempts: 0 });
      const all = await collect(client.iterate({ query: '{ __typename }' }));
      assert.deepEqual(all.map((r) => r.data), [{ __typename: 'Query' }]);
    });

    test('graphql-sse: an invalid document yields its errors', async () => {
      const client = createClient({ url: server.url, headers: server.headers, retryAttempts: 0 });
      const [{ data, errors }, ...more] = await collect(client.iterate({ query: '{ nothingOfThisName }' }));
      assert.equal(data, undefined);
      assert.equal(errors[0].extensions.code, 'INVALID_INPUT');
      assert.deepEqual(more, []);
    });
  });
}
