// A stage on which servers come and go over the same data: an application
// that is deployed, and a proxy that leads viewers to the server of the moment.
import { rmSync } from 'node:fs';
import { Application } from './application.js';
import { Proxy } from './proxy.js';
import { Record } from './record.js';
import { newData, start } from './server.js';

export class Stage {
  #data = newData();
  // Whether the server that ends the application has been started.
  #last = false;

  // set sets up a stage that is cleared after the test.
  static async set(t) {
    const stage = new Stage();
    t.after(() => stage.#clear());
    stage.server = await start({ data: stage.#data, keepProcesses: true });
    stage.proxy = await Proxy.before(stage.server);
    stage.application = await Application.deploy(stage.server);
    stage.record = new Record(stage.application.deployment);

    return stage;
  }

  // stop stops the server; the application goes on.
  async stop() {
    const { server } = this;
    this.server = undefined;
    await server.stop();
  }

  // startAgain starts the next server, which ends the application with it.
  async startAgain() {
    this.server = await start({ data: this.#data });
    this.#last = true;
    this.proxy?.lead(this.server);
  }

  async #clear() {
    this.proxy?.close();
    this.application?.close();
    if (!this.#last) {
      if (this.server) await this.stop();
      await this.startAgain();
    }
    await this.stop();
    rmSync(this.#data, { recursive: true });
  }
}
