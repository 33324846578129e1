// Apollo Client: queries into its cache, mutations, errors, pages, and a
// subscription over graphql-ws.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { getMainDefinition, relayStylePagination } from '@apollo/client/utilities';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { Application } from './support/application.js';
import { createServices } from './support/ask.js';
import { followLog, Record } from './support/record.js';
import { start } from './support/server.js';

let server, client, sockets;
before(async () => {
  server = await start();
  sockets = createClient({ url: server.socketURL, webSocketImpl: WebSocket });
  client = new ApolloClient({
    link: ApolloLink.split(
      ({ query }) => getMainDefinition(query).operation === 'subscription',
      new GraphQLWsLink(sockets),
      new HttpLink({ uri: server.url }),
    ),
    cache: new InMemoryCache({ typePolicies: { Query: { fields: { services: relayStylePagination(['filter']) } } } }),
  });
});
after(async () => {
  client.stop();
  await sockets.dispose();
  await server.stop();
});

test('a mutation changes what a query has put into the cache', async () => {
  const { data } = await client.mutate({
    mutation: gql`mutation { createService(input: {name: "checkout", title: "Checkout"}) { service { id name title } } }`,
  });
  const { id } = data.createService.service;

  const query = gql`query ($name: ID!) { service(name: $name) { id name title archivedAt } }`;
  const asked = await client.query({ query, variables: { name: 'checkout' } });
  assert.deepEqual(asked.data.service, { __typename: 'Service', id, name: 'checkout', title: 'Checkout', archivedAt: null });

  await client.mutate({
    mutation: gql`mutation ($service: ID!) { updateService(input: {service: $service, title: "The checkout"}) { changed service { id title } } }`,
    variables: { service: id },
  });
  const cached = client.readQuery({ query, variables: { name: 'checkout' } });
  assert.equal(cached.service.title, 'The checkout');
});

test('an error has the code and the field', async () => {
  const mutation = gql`mutation ($name: String!) { createService(input: {name: $name}) { service { id } } }`;
  await assert.rejects(client.mutate({ mutation, variables: { name: 'Not a label' } }), (error) => {
    assert.ok(CombinedGraphQLErrors.is(error), error);
    const { code, field } = error.errors[0].extensions;
    assert.deepEqual({ code, field }, { code: 'INVALID_INPUT', field: 'name' });

    return true;
  });
});

test('a connection is paged through', async () => {
  const names = await createServices(server, 7);
  const asked = {
    query: gql`query ($first: Int, $after: Cursor) {
      services(filter: {search: "shop-"}, first: $first, after: $after) {
        totalCount edges { cursor node { id name } } pageInfo { hasNextPage endCursor }
      }
    }`,
    variables: { first: 3 },
  };
  const pages = client.watchQuery(asked);
  const first = await new Promise((done) => pages.subscribe(({ data, dataState }) => dataState === 'complete' && done(data)));
  const sizes = [first.services.edges.length];

  for (let { pageInfo } = first.services; pageInfo.hasNextPage; ) {
    const { data } = await pages.fetchMore({ variables: { after: pageInfo.endCursor } });
    sizes.push(data.services.edges.length);
    ({ pageInfo } = data.services);
  }

  const { services } = client.readQuery(asked);
  assert.deepEqual(sizes, [3, 3, 1]);
  assert.deepEqual(services.edges.map(({ node }) => node.name), names);
  assert.equal(services.totalCount, 7);
});

test('a log is followed over graphql-ws until it completes', async (t) => {
  const application = await Application.deploy(server);
  t.after(() => application.close());
  const record = new Record(application.deployment);

  const completed = new Promise((done, fail) => {
    client.subscribe({ query: gql(followLog), variables: record.variables }).subscribe({
      next: (result) => record.take({ data: result.data, errors: result.error }),
      error: fail,
      complete: done,
    });
  });
  await application.print(500);
  await application.becomeReady();
  await completed;

  await record.isWhole(server, 500);
});
