// The application that is deployed. Deployed, it is this file as a program:
// it connects to the test and does what that tells it to, so that a test
// decides what is in the log and when the rollout is over. It ends when it is
// told to stop, as any application.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { createServer as createWebServer } from 'node:http';
import { createInterface } from 'node:readline';
import { ask } from './ask.js';

if (process.argv[1] === import.meta.filename) obey();

function obey() {
  const control = connect(Number(process.env.CONTROL), '127.0.0.1');
  let printed = 0;

  createInterface({ input: control }).on('line', (order) => {
    if (order === 'ready') {
      createWebServer((_, response) => response.end('ready')).listen(Number(process.env.PORT), '127.0.0.1');
    } else {
      for (const to = Number(order); printed < to; ) console.log(`line ${++printed} of what the application says`);
    }

    control.write('done\n');
  });
}

// Application deploys itself and gives orders to what was deployed.
export class Application {
  #control = createServer();
  #orders;
  #answers;

  // deploy gives an application whose deployment has begun and waits for it.
  static async deploy(server, name = 'talker') {
    const application = new Application();
    const control = application.#control.listen(0, '127.0.0.1');
    await once(control, 'listening');

    const connected = once(control, 'connection');
    application.deployment = await deploy(server, name, control.address().port);
    [application.#orders] = await connected;
    application.#answers = createInterface({ input: application.#orders })[Symbol.asyncIterator]();

    return application;
  }

  // print makes it print its numbered lines up to this number.
  print(to) {
    return this.#order(String(to));
  }

  // becomeReady makes it answer on its port: the rollout has succeeded.
  becomeReady() {
    return this.#order('ready');
  }

  async #order(text) {
    this.#orders.write(`${text}\n`);
    const { value } = await this.#answers.next();
    if (value !== 'done') throw new Error(`the application answered ${value}`);
  }

  close() {
    this.#orders?.destroy();
    this.#control.close();
  }
}

async function deploy(server, name, port) {
  await ask(server, `mutation ($name: String!, $environment: String!) {
    createService(input: {name: $name}) { service { id } }
    createEnvironment(input: {name: $environment, tier: DEVELOPMENT, rank: 1, target: {kind: PROCESS}}) { environment { id } }
  }`, { name, environment: `for-${name}` });

  const score = {
    apiVersion: 'score.dev/v1b1',
    metadata: { name },
    containers: {
      main: {
        image: 'none',
        command: [process.execPath, import.meta.filename],
        variables: { CONTROL: String(port) },
      },
    },
    service: { ports: { web: { port: 8080 } } },
  };
  const { deploy: answer } = await ask(server, `mutation ($name: ID!, $environment: ID!, $score: JSON!) {
    registerVersion(input: {service: $name, version: "1.0.0", workload: {score: $score}}) { created }
    deploy(input: {service: $name, environment: $environment, version: "1.0.0"}) { deployment { id } }
  }`, { name, environment: `for-${name}`, score });

  return answer.deployment.id;
}
