// urql: queries, mutations, errors, and a subscription over graphql-ws, over
// graphql-sse, and over its own fetch.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { cacheExchange, Client, fetchExchange, subscriptionExchange } from '@urql/core';
import { createClient as createSSE } from 'graphql-sse';
import { createClient as createWS } from 'graphql-ws';
import WebSocket from 'ws';
import { Application } from './support/application.js';
import { followLog, Record } from './support/record.js';
import { start } from './support/server.js';

let server;
before(async () => (server = await start()));
after(() => server.stop());

const client = (options) => new Client({ url: server.url, preferGetMethod: false, ...options });

// over makes an exchange of a client with graphql-ws's interface.
const over = (transport) => subscriptionExchange({
  forwardSubscription: (request) => ({
    subscribe: (sink) => ({ unsubscribe: transport.subscribe({ query: request.query, variables: request.variables }, sink) }),
  }),
});

for (const preferGetMethod of [false, true]) {
  test(`a query after a mutation is asked again, by ${preferGetMethod ? 'GET' : 'POST'}`, async () => {
    const name = preferGetMethod ? 'basket' : 'checkout';
    const urql = client({ exchanges: [cacheExchange, fetchExchange], preferGetMethod });
    const service = async () => (await urql.query('query ($name: ID!) { service(name: $name) { id title } }', { name })).data.service;

    const created = await urql.mutation('mutation ($input: CreateServiceInput!) { createService(input: $input) { service { id } } }', { input: { name } });
    const { id } = created.data.createService.service;
    assert.deepEqual(await service(), { id, title: name, __typename: 'Service' });

    await urql.mutation('mutation ($input: UpdateServiceInput!) { updateService(input: $input) { service { id title } } }', { input: { service: name, title: 'New' } });
    assert.equal((await service()).title, 'New');
  });
}

test('an error has the code and the field', async () => {
  const { error } = await client({ exchanges: [fetchExchange] })
    .mutation('mutation { createService(input: {name: "Not a label"}) { service { id } } }', {});
  assert.equal(error.networkError, undefined);
  const { code, field } = error.graphQLErrors[0].extensions;
  assert.deepEqual({ code, field }, { code: 'INVALID_INPUT', field: 'name' });
});

const transports = {
  'graphql-ws': (t) => {
    const sockets = createWS({ url: server.socketURL, webSocketImpl: WebSocket });
    t.after(() => sockets.dispose());

    return { exchanges: [over(sockets)] };
  },
  'graphql-sse': () => ({ exchanges: [over(createSSE({ url: server.url }))] }),
  'fetch': () => ({ exchanges: [fetchExchange], fetchSubscriptions: true }),
};

describe('a log is followed until it completes', { concurrency: true }, () => {
  for (const [name, options] of Object.entries(transports)) {
    test(`over ${name}`, async (t) => {
      const application = await Application.deploy(server, `over-${name}`);
      t.after(() => application.close());
      const record = new Record(application.deployment);
      const urql = client(options(t));

      const completed = new Promise((done, fail) => {
        urql.subscription(followLog, record.variables).subscribe(({ data, error, hasNext }) => {
          if (error) return fail(error);
          // At the end of the stream it tells the last result once more.
          if (hasNext) record.take({ data });
          else done();
        });
      });
      await application.print(500);
      await application.becomeReady();
      await completed;

      await record.isWhole(server, 500);
    });
  }
});
