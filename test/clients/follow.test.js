// Following a deployment's log, and going on with a cursor after being cut
// off: nothing is missing and nothing comes twice.
import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { Application } from './support/application.js';
import { collect } from './support/ask.js';
import { Proxy } from './support/proxy.js';
import { followLog, Record, stored } from './support/record.js';
import { start } from './support/server.js';
import { viewers } from './support/viewers.js';

const lines = 2_000;

let server;
before(async () => (server = await start()));
after(() => server.stop());

// set sets up an application and a proxy that leads to the server.
async function set(t, name) {
  const proxy = await Proxy.before(server);
  t.after(() => proxy.close());
  const application = await Application.deploy(server, name);
  t.after(() => application.close());

  return [proxy, application];
}

// Answers that end within the lines, in the middle of a message each.
const cuts = {
  'graphql-ws': [20_011, 1, 60_013, 90_001],
  'graphql-sse': [20_011, 1, 60_013, 90_001],
  // It waits for some seconds before it connects again.
  'eventsource': [60_013],
};

describe('a log is followed over cuts, and completes', { concurrency: true }, () => {
  for (const [name, view] of Object.entries(viewers)) {
    test(name, async (t) => {
      const [proxy, application] = await set(t, name);
      const record = new Record(application.deployment);
      proxy.cutAfter(...cuts[name]);

      // Stored lines, then live ones, then those of the outcome.
      await application.print(lines / 2);
      const completed = view(proxy, record, async () => {});
      await application.print(lines);
      await record.until(lines);
      await application.becomeReady();
      await completed;

      await record.isWhole(server, lines);
      assert.equal(proxy.connections, cuts[name].length + 1);
    });

    test(`${name}: a page, then what follows, also while it was away`, async (t) => {
      const [proxy, application] = await set(t, `${name}-away`);
      const record = new Record(application.deployment);
      let comeBack;
      const back = new Promise((done) => (comeBack = done));

      await application.print(50);
      await record.read(server);
      const completed = view(proxy, record, () => back);
      await application.print(100);
      await record.until(100);
      proxy.cut();
      await application.print(200);
      await application.becomeReady();
      comeBack();
      await completed;

      await record.isWhole(server, 200);
      assert.equal(proxy.connections, 2);
    });
  }
});

test('a finished log goes on behind any of its lines', async (t) => {
  const [, application] = await set(t, 'finished');
  await application.print(40);
  await application.becomeReady();

  const client = createClient({ url: server.socketURL, webSocketImpl: WebSocket, retryAttempts: 0 });
  const follow = async (cursor) => {
    const record = new Record(application.deployment);
    record.variables.after = cursor;
    for (const result of await collect(client.iterate({ query: followLog, variables: record.variables }))) record.take(result);
    assert.equal(record.complete, true);

    return record.lines;
  };

  const whole = await follow(null);
  assert.deepEqual(whole, await stored(server, application.deployment));
  for (const [i, { cursor }] of whole.entries()) assert.deepEqual(await follow(cursor), whole.slice(i + 1));
  await client.dispose();
});
