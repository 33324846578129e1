// Requests without any client's help: what the tests prepare and compare with.

// ask gives the data of a query or mutation; errors are thrown.
export async function ask(server, query, variables = {}) {
  const response = await fetch(server.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...server.headers },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(JSON.stringify(errors));

  return data;
}

// collect gives all results of a client's iterator.
export async function collect(iterator) {
  const all = [];
  for await (const result of iterator) all.push(result);

  return all;
}

// createServices creates so many services: `shop-01` and on.
export async function createServices(server, count) {
  const names = Array.from({ length: count }, (_, i) => `shop-${String(i + 1).padStart(2, '0')}`);
  for (const name of names) {
    await ask(server, 'mutation ($name: String!) { createService(input: {name: $name}) { service { id } } }', { name });
  }

  return names;
}
