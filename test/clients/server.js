// The server under test: SHIPLOG_URL (such as http://127.0.0.1:8080), or the
// test schema's, built and started here. With SHIPLOG_URL, what needs fields
// of the test schema is left to that server's own tests.
import { spawn, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';

const given = process.env.SHIPLOG_URL;

// ownSchema says that the server has the test schema.
export const ownSchema = !given;

// A bearer token that the server under test wants, if any.
export const token = process.env.SHIPLOG_TOKEN;

// A subscription of the server under test that yields and goes on, for the
// tests that run against any server: SHIPLOG_SUBSCRIPTION.
export const liveSubscription =
  process.env.SHIPLOG_SUBSCRIPTION ?? (ownSchema ? 'subscription { lines { cursor } }' : undefined);

// Tests that need the test schema, and those that need such a subscription.
export const testOwn = ownSchema ? test : () => {};
export const testLive = liveSubscription ? test : () => {};

// start gives the address of the server and what stops it.
export async function start() {
  if (given) {
    return { url: new URL('/graphql', given).href, origin: given, stop: async () => {} };
  }

  const folder = mkdtempSync(join(tmpdir(), 'clients-'));
  const binary = join(folder, 'serve');
  execFileSync('go', ['build', '-o', binary, './server/transport/testschema/serve'], {
    cwd: resolve(import.meta.dirname, '../..'),
    stdio: 'inherit',
  });

  const child = spawn(binary, { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = new Promise((done) => child.once('exit', done));
  const lines = createInterface({ input: child.stdout });
  const origin = await new Promise((done, fail) => {
    lines.once('line', done);
    child.once('exit', (code) => fail(new Error(`the server ended with ${code}`)));
  });

  return {
    url: `${origin}/graphql`,
    origin,
    // terminate asks the server to stop and gives its exit status.
    terminate: () => {
      child.kill('SIGTERM');
      return ended;
    },
    stop: async () => {
      if (child.exitCode === null) child.kill('SIGTERM');
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}
