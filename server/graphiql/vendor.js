// Copies the published files that the page needs from node_modules to
// vendored/, with their licences. Run it by `npm ci && npm run vendor` after
// a version in package.json has changed.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

const from = 'node_modules';
const to = 'vendored';

rmSync(to, { recursive: true, force: true });
mkdirSync(to);

const files = {
  'react.js': 'react/umd/react.production.min.js',
  'react.LICENSE': 'react/LICENSE',
  'react-dom.js': 'react-dom/umd/react-dom.production.min.js',
  'react-dom.LICENSE': 'react-dom/LICENSE',
  'graphiql.css': 'graphiql/graphiql.min.css',
  'graphiql.LICENSE': 'graphiql/LICENSE',
  'graphql-ws.js': 'graphql-ws/dist/client.js',
  'graphql-ws.LICENSE': 'graphql-ws/LICENSE.md',
};

for (const [name, path] of Object.entries(files)) {
  cpSync(`${from}/${path}`, `${to}/${name}`);
}

// The source map is not shipped, so it is not referred to.
const graphiql = readFileSync(`${from}/graphiql/graphiql.min.js`, 'utf8');
writeFileSync(`${to}/graphiql.js`, graphiql.replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n'));

// graphql-ws is in two modules; the second's name holds a hash.
const client = readFileSync(`${to}/graphql-ws.js`, 'utf8');
for (const common of new Set(client.match(/(?<=from '\.\/)[^']+/g))) {
  cpSync(`${from}/graphql-ws/dist/${common}`, `${to}/${common}`);
}
