// Relay: its compiler takes the contract with connections both ways and
// fragments that are fetched again by id, and the server answers what it makes.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { ask, createServices } from './support/ask.js';
import { compile } from './support/relay.js';
import { start } from './support/server.js';

test('connections and refetchable fragments are accepted', async (t) => {
  const { code, output, artifact } = await compile(t);
  assert.equal(code, 0, output);

  const directions = {
    ServicesPage_services: 'forward', DeploymentRow_log: 'backward', ServiceCard_service: 'bidirectional',
  };
  for (const [fragment, direction] of Object.entries(directions)) {
    assert.equal(artifact(fragment).metadata.connection[0].direction, direction);
  }
  for (const fragment of ['ServiceCard_service', 'DeploymentRow_deployment', 'DeploymentRow_log']) {
    assert.deepEqual(artifact(fragment).metadata.refetch.fragmentPathInResult, ['node']);
  }
});

for (const [name, text, said] of [
  ['a field that is not there', 'fragment Added_service on Service { color }', /no field .*color/is],
  [
    'a list that is no connection',
    'fragment Added_rule on Decision { reasons(first: 2) @connection(key: "Added_reasons") { code } }',
    /@connection/,
  ],
  ['an object without an id', 'fragment Added_actor on Actor @refetchable(queryName: "AddedQuery") { display }', /@refetchable/],
]) {
  test(`${name} is refused`, async (t) => {
    const { code, output } = await compile(t, text);
    assert.notEqual(code, 0);
    assert.match(output, said);
  });
}

describe('what the compiler makes is answered', () => {
  let server;
  before(async () => (server = await start()));
  after(() => server.stop());

  test('a connection forwards, both ways, and a node again', async (t) => {
    const { artifact } = await compile(t);
    const run = (name, variables) => ask(server, artifact(name).params.text, variables);

    const names = await createServices(server, 5);
    assert.equal((await run('ServicesPageQuery', { owner: null })).services.edges.length, 2);
    assert.deepEqual(await walk(async (after) => (await run('ServicesPagePaginationQuery', { first: 2, after })).services, 'after'), names);

    const versions = ['1.0.0', '1.1.0', '1.2.0', '1.3.0', '1.4.0'];
    const [id, deployment] = await record(server, names[0], versions);
    const newestFirst = versions.toReversed();
    const history = async (page) => (await run('ServiceCardRefetchQuery', { first: null, after: null, last: null, before: null, id, ...page })).node.deployments;
    assert.deepEqual(await walk((after) => history({ first: 2, after }), 'after'), newestFirst);
    assert.deepEqual(await walk((before) => history({ last: 2, before }), 'before'), newestFirst);

    const { node } = await run('DeploymentRowRefetchQuery', { id: deployment });
    assert.equal(node.__typename, 'Deployment');
    assert.equal(node.version.name, versions.at(-1));
    const both = await run('DeploymentRowNodeQuery', { id: deployment });
    assert.equal(both.node.status, 'SUCCEEDED');
  });
});

// walk pages through a connection as Relay does, and gives the names of all
// in the order of the list.
async function walk(page, towards) {
  const names = [];
  for (let cursor = null; ; ) {
    const { edges, pageInfo } = await page(cursor);
    const found = edges.map(({ node }) => node.name ?? node.version.name);
    assert.equal(found.length <= 2, true);

    if (towards === 'after') {
      names.push(...found);
      if (!pageInfo.hasNextPage) return names;
      cursor = pageInfo.endCursor;
    } else {
      names.unshift(...found);
      if (!pageInfo.hasPreviousPage) return names;
      cursor = pageInfo.startCursor;
    }
  }
}

// record remembers deployments of the versions, and gives the service's id
// and that of the last deployment.
async function record(server, service, versions) {
  await ask(server, `mutation {
    createEnvironment(input: {name: "elsewhere", tier: PRODUCTION, rank: 1, target: {kind: EXTERNAL}}) { environment { id } }
  }`);

  let last;
  for (const version of versions) {
    const { recordDeployment } = await ask(server, `mutation ($service: ID!, $version: ID!) {
      recordDeployment(input: {service: $service, environment: "elsewhere", version: $version, createMissing: true}) {
        deployment { id service { id } }
      }
    }`, { service, version });
    last = recordDeployment.deployment;
  }

  return [last.service.id, last.id];
}
