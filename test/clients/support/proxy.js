// A TCP proxy in front of a server, which cuts connections off.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export class Proxy {
  #proxy = createServer((socket) => this.#serve(socket));
  #open = new Set();
  #budgets = [];
  #target;

  // connections counts those on which something was asked: Node's fetch opens
  // more than it uses.
  connections = 0;

  static async before(server) {
    const proxy = new Proxy();
    proxy.lead(server);
    proxy.#proxy.listen(0, '127.0.0.1');
    await once(proxy.#proxy, 'listening');
    const origin = `127.0.0.1:${proxy.#proxy.address().port}`;
    proxy.url = `http://${origin}/graphql`;
    proxy.socketURL = `ws://${origin}/graphql`;

    return proxy;
  }

  // lead leads new connections to this server; to none: they are cut off.
  lead(server) {
    this.#target = server && Number(new URL(server.url).port);
  }

  // cutAfter lets the next connections that are answered each have so many bytes of answers,
  // and then resets them.
  cutAfter(...bytes) {
    this.#budgets = bytes;
  }

  // cut resets all connections.
  cut() {
    for (const socket of this.#open) socket.resetAndDestroy();
  }

  #serve(socket) {
    if (!this.#target) return socket.resetAndDestroy();

    socket.once('data', () => this.connections++);
    const upstream = connect(this.#target, '127.0.0.1');
    let budget;
    this.#open.add(socket);

    const end = () => {
      this.#open.delete(socket);
      socket.destroy();
      upstream.destroy();
    };
    for (const one of [socket, upstream]) one.on('error', end).on('close', end);

    socket.pipe(upstream);
    upstream.on('end', () => socket.end());
    upstream.on('data', (chunk) => {
      budget ??= this.#budgets.shift() ?? Infinity;
      if (chunk.length <= budget) {
        budget -= chunk.length;
        if (!socket.write(chunk)) upstream.pause();
        return;
      }

      // What was let through arrives; the rest does not.
      upstream.pause();
      socket.write(chunk.subarray(0, budget), () => socket.resetAndDestroy());
    });
    socket.on('drain', () => upstream.resume());
  }

  close() {
    for (const socket of this.#open) socket.destroy();
    this.#proxy.close();
  }
}
