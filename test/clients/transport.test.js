// How a socket is closed that was admitted or refused as no setting of the
// program does yet: by the same transports over their test schema, whose
// tokens are `forbidden` and `short`.
import { after, before, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawn, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { dialogue, subscribe } from './support/socket.js';

let folder, child, server;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'shiplog-clients-'));
  execFileSync('go', ['build', '-o', join(folder, 'serve'), './server/transport/testschema/serve'], {
    cwd: resolve(import.meta.dirname, '../..'), stdio: 'inherit',
  });
  child = spawn(join(folder, 'serve'), { stdio: ['ignore', 'pipe', 'inherit'] });
  const [origin] = await once(createInterface({ input: child.stdout }), 'line');
  server = { socketURL: `${origin.replace(/^http/, 'ws')}/graphql` };
});
after(async () => {
  child.kill('SIGTERM');
  await once(child, 'exit');
  rmSync(folder, { recursive: true });
});

test('4403: a token that may not come in', async () => {
  const { code, reason } = await dialogue(server, [{ type: 'connection_init', payload: { token: 'forbidden' } }]);
  assert.equal(code, 4403);
  assert.equal(reason, 'the token may not subscribe');
});

test('4401: a token that expires during a subscription', async () => {
  const { code, received } = await dialogue(server, [
    { type: 'connection_init', payload: { token: 'short' } }, 'ack', subscribe('1', 'subscription { silent }'),
  ]);
  assert.equal(code, 4401);
  assert.deepEqual(received, [{ type: 'connection_ack' }]);
});
