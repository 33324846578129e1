// The contract, as it is, as it was released, and as it might become.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { buildSchema, GraphQLSchema, lexicographicSortSchema, printSchema } from 'graphql';

const clients = resolve(import.meta.dirname, '..');
const text = readFileSync(resolve(clients, '../../schema.graphql'), 'utf8');

// contract is what schema.graphql says.
export const contract = () => buildSchema(text);

// released is what clients were promised.
export const released = () => buildSchema(readFileSync(resolve(clients, 'testdata/released.graphql'), 'utf8'));

// edited is the contract with something in the place of a piece of it.
export function edited(piece, instead) {
  const other = text.replace(piece, instead);
  assert.notEqual(other, text, `schema.graphql has no ${piece}`);

  // What stood before something that was removed describes nothing any more.
  return buildSchema(other.replace(/^ *".*"\n(?= *("|\}))/gm, ''));
}

// without is the schema without a directive.
export const without = (directive, schema) =>
  new GraphQLSchema({ ...schema.toConfig(), directives: schema.getDirectives().filter(({ name }) => name !== directive) });

// differences gives the lines in which two schemas differ, whatever their
// order.
export function differences(one, other) {
  const [left, right] = [one, other].map((schema) => printSchema(lexicographicSortSchema(schema)).split('\n'));

  return left.length === right.length
    ? left.flatMap((line, i) => (line === right[i] ? [] : [[line, right[i]]]))
    : [[`${left.length} lines`, `${right.length} lines`]];
}
