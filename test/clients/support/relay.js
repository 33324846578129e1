// relay-compiler on the components of a portal, in relay/.
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const folder = resolve(import.meta.dirname, '..');

// compile compiles the components against schema.graphql, with what is added
// to them, and gives whether that went well, what was said, and the artifacts
// by name until the test is over.
export async function compile(t, added = '') {
  const work = mkdtempSync(join(tmpdir(), 'shiplog-relay-'));
  t.after(() => rmSync(work, { recursive: true }));
  cpSync(join(folder, 'relay'), work, { recursive: true });
  cpSync(resolve(folder, '../../schema.graphql'), join(work, 'schema.graphql'));
  if (added) writeFileSync(join(work, 'src/Added.js'), `graphql\`${added}\`;\n`);

  const [code, output] = await new Promise((done) => {
    execFile(join(folder, 'node_modules/.bin/relay-compiler'), ['relay.config.json'], { cwd: work }, (error, out, err) =>
      done([error?.code ?? 0, out + err]));
  });
  const artifact = (name) => createRequire(import.meta.url)(join(work, 'src/__generated__', `${name}.graphql.js`));

  return { code, output, artifact };
}
