// What a viewer of a deployment's log was told.
import assert from 'node:assert/strict';
import { ask } from './ask.js';

export const followLog = `subscription FollowLog($deployment: ID!, $after: Cursor) {
  deploymentLogs(deployment: $deployment, after: $after) {
    gap { reason }
    lines { cursor text }
    cursor
    complete
  }
}`;

export class Record {
  lines = [];
  complete = false;
  #waiting = [];

  constructor(deployment) {
    // A client that connects again sends its variables again, with the cursor
    // that is in them by then.
    this.variables = { deployment, after: null };
  }

  // take writes a result down.
  take({ data, errors }) {
    assert.equal(errors, undefined);
    const batch = data.deploymentLogs;
    assert.equal(batch.gap, null);
    assert.equal(this.complete, false, 'a batch after the last one');

    this.lines.push(...batch.lines.map(({ cursor, text }) => ({ cursor, text })));
    this.variables.after = batch.cursor;
    this.complete = batch.complete;

    for (const { line, done } of this.#waiting) if (this.has(line)) done();
  }

  // read takes what is stored, to be followed from there.
  async read(server) {
    this.lines = await stored(server, this.variables.deployment);
    this.variables.after = this.lines.at(-1).cursor;
  }

  // numbers are those of the application's lines.
  get numbers() {
    return this.lines.map(({ text }) => /^line (\d+) /.exec(text)?.[1]).filter(Boolean).map(Number);
  }

  has(line) {
    return this.numbers.at(-1) >= line;
  }

  // until waits for the application's line of this number.
  until(line) {
    return this.has(line) ? Promise.resolve() : new Promise((done) => this.#waiting.push({ line, done }));
  }

  // isWhole asserts that every line came once and in order: the application's
  // own, and all others that are stored.
  async isWhole(server, count) {
    assert.deepEqual(this.numbers, Array.from({ length: count }, (_, i) => i + 1));
    assert.deepEqual(this.lines, await stored(server, this.variables.deployment));
    assert.equal(this.complete, true);
  }
}

// stored reads a log page by page.
export async function stored(server, deployment) {
  const lines = [];
  for (let after = null; ; ) {
    const data = await ask(server, `query ($deployment: ID!, $after: Cursor) {
      deployment(id: $deployment) { logs(first: 100, after: $after) { nodes { cursor text } pageInfo { hasNextPage endCursor } } }
    }`, { deployment, after });
    const { nodes, pageInfo } = data.deployment.logs;
    lines.push(...nodes);
    if (!pageInfo.hasNextPage) return lines;
    after = pageInfo.endCursor;
  }
}
