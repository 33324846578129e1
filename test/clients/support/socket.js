// A raw client of graphql-transport-ws.
import WebSocket from 'ws';

export const subscribe = (id, query) => ({ id, type: 'subscribe', payload: { query } });

// dialogue opens a socket, sends the messages (what stands after 'ack' once
// the acknowledgement is there), and gives the close code, its reason and what
// was received. It closes the socket itself when enough(message) says so.
export function dialogue(server, messages, protocol = 'graphql-transport-ws', enough = () => false) {
  return new Promise((done, fail) => {
    const socket = new WebSocket(server.socketURL, protocol ?? []);
    const received = [];
    const queue = [...messages];
    const sendNext = () => {
      while (queue.length > 0) {
        const next = queue.shift();
        if (next === 'ack') return;
        // The server may close before it has read all; its code tells.
        socket.send(typeof next === 'string' || Buffer.isBuffer(next) ? next : JSON.stringify(next), () => {});
      }
    };

    socket.on('open', sendNext);
    socket.on('message', (raw) => {
      const message = JSON.parse(raw);
      received.push(message);
      if (message.type === 'connection_ack') sendNext();
      if (enough(message)) socket.close(1000);
    });
    socket.on('close', (code, reason) => done({ code, reason: reason.toString(), received }));
    socket.on('error', fail);
  });
}
