// Runs all tests here, or the files that are named. A test that is skipped
// proves nothing: it fails the run.
import { readdirSync } from 'node:fs';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { join } from 'node:path';

const folder = import.meta.dirname;
const named = process.argv.slice(2);
const files = named.length > 0 ? named : readdirSync(folder).filter((name) => name.endsWith('.test.js'));

let passed = 0;
const wrong = [];
// Most of the time is waiting for a few timers; more at a time would be slower
// on two cores.
const tests = run({ files: files.map((name) => join(folder, name)), concurrency: 3, timeout: 120_000 })
  .on('test:fail', ({ name }) => wrong.push(`${name} failed`))
  .on('test:pass', ({ name, skip, todo }) => (skip !== undefined || todo !== undefined ? wrong.push(`${name} was skipped`) : passed++));

tests.compose(new spec()).pipe(process.stdout);
tests.once('end', () => {
  if (wrong.length === 0 && passed > 0) return;
  process.exitCode = 1;
  process.once('exit', () => console.error(wrong.join('\n') || 'no test ran'));
});
