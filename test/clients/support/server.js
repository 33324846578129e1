// bin/shiplog on data of its own, on a free loopback port.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const binary = resolve(import.meta.dirname, '../../../bin/shiplog');

// start serves with --dev, or only to those who show the token when dev is
// false. What it deployed ends with it unless keepProcesses. On data that is
// given it goes on, and leaves them to whoever gave them.
export async function start({ token, dev = true, data, keepProcesses = false } = {}) {
  const folder = data ?? newData();
  // A file, because a server whose log nobody reads any more could not stop in
  // order.
  const log = join(folder, `server-${randomUUID()}.log`);
  const output = openSync(log, 'a');
  const child = spawn(binary, ['serve'], {
    stdio: ['ignore', 'ignore', output],
    env: {
      PATH: process.env.PATH,
      SHIPLOG_LISTEN: '127.0.0.1:0',
      SHIPLOG_DATA: folder,
      SHIPLOG_DEV: String(dev),
      SHIPLOG_STOP_PROCESSES: String(!keepProcesses),
      ...(token && { SHIPLOG_TOKEN: token }),
    },
  });
  closeSync(output);
  const kill = () => child.kill('SIGTERM');
  process.once('exit', kill);

  const ended = new Promise((done) => {
    child.once('error', done);
    child.once('exit', (code, signal) => done(code ?? signal));
  });
  const failed = (code) => new Error(`${binary} ended with ${code}:\n${readFileSync(log, 'utf8')}`);
  const watcher = watch(log);
  const origin = await new Promise((done, fail) => {
    const look = () => {
      const url = /^serving on (\S+)/m.exec(readFileSync(log, 'utf8'))?.[1];
      if (url) done(url);
    };
    watcher.on('change', look);
    look();
    ended.then(fail);
  })
    .catch((code) => Promise.reject(failed(code)))
    .finally(() => watcher.close());

  return {
    origin,
    url: `${origin}/graphql`,
    socketURL: `${origin.replace(/^http/, 'ws')}/graphql`,
    headers: token ? { authorization: `Bearer ${token}` } : {},

    // stop asks the server to stop; it must do so without an error.
    async stop() {
      kill();
      const code = await ended;
      process.off('exit', kill);
      if (code !== 0) throw failed(code);
      if (!data) rmSync(folder, { recursive: true });
    },
  };
}

// A test that is told to stop ends by exit, so that its servers are told too.
process.once('SIGTERM', () => process.exit(1));

// newData is a new folder for a server's data.
export function newData() {
  return mkdtempSync(join(tmpdir(), 'shiplog-clients-'));
}
