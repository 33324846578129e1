// What clients were promised is kept: schema.graphql takes nothing away from
// testdata/released.graphql. `make accept-schema` makes a new promise.
import { describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { breaking } from './support/breaking.js';
import { contract, edited, released } from './support/contract.js';

test('schema.graphql breaks nothing that was released', async () => {
  assert.deepEqual(
    await breaking(released(), contract()), [],
    'clients break: keep what was there and deprecate it, or accept the break with make accept-schema and say why in the commit',
  );
});

// Edits of the contract: the piece of it, and what takes its place.
const breaks = {
  'a field is removed': [/^ {2}statusReason: String\n/m, ''],
  'a type is removed': [/^".*"\ntype CanRollback \{[^}]*\}\n|^ {2}canRollback: CanRollback!\n/gm, ''],
  'a mutation is removed': [/^ {2}rollback\([^)]*\): .*\n/m, ''],
  'an argument is removed': [/^( {2}versions\(\n.*\n {4}first: Int\n).*\n {4}after: Cursor\n/m, '$1'],
  'a required argument is added': [/^ {2}node\(\n/m, '$&    kind: String!\n'],
  'an optional argument is made required': [/^( {2}placements\(\n.*\n {4}at: Time)$/m, '$1!'],
  'a field of an input is made required': [/(^input CreateServiceInput \{[^}]*title: String)/m, '$1!'],
  'a required field is added to an input': [/^input CreateServiceInput \{\n/m, '$&  colour: String!\n'],
  'a field may be null': [/^ {2}status: DeploymentStatus!\n/m, '  status: DeploymentStatus\n'],
  'an enum value is removed': [/^ {2}SUPERSEDED\n/m, ''],
  'an interface is left': ['type Step implements Node', 'type Step'],
};

describe('a breaking change fails', () => {
  for (const [name, [piece, instead]] of Object.entries(breaks)) {
    test(name, async () => assert.notDeepEqual(await breaking(contract(), edited(piece, instead)), []));
  }
});

const additions = {
  'a type and a field of it': [/^type Service implements Node \{\n/m, 'type Colour { name: String! }\n$&  colour: Colour!\n'],
  'an optional argument': [/^ {2}node\(\n/m, '$&    kind: String\n'],
  'an argument with a default': [/^ {2}node\(\n/m, '$&    kind: String! = "any"\n'],
  'an optional field of an input': [/^input CreateServiceInput \{\n/m, '$&  colour: String\n'],
  'an enum value': [/^ {2}SUPERSEDED\n/m, '$&  PAUSED\n'],
  'a subscription': [/^type Subscription \{\n/m, '$&  ticks: Int!\n'],
  'a deprecation': [/^ {2}statusReason: String\n/m, '  statusReason: String @deprecated(reason: "Read the timeline.")\n'],
  'a field that is never null any more': [/^ {2}statusReason: String\n/m, '  statusReason: String!\n'],
};

describe('an addition passes', () => {
  for (const [name, [piece, instead]] of Object.entries(additions)) {
    test(name, async () => assert.deepEqual(await breaking(contract(), edited(piece, instead)), []));
  }
});
