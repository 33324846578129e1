// What of a change of the contract breaks clients, by graphql-inspector.
import { CriticalityLevel, diff } from '@graphql-inspector/core';

// breaking gives those that break clients, in words.
export async function breaking(from, to) {
  const all = await diff(from, to);

  return all.filter(({ criticality }) => criticality.level === CriticalityLevel.Breaking).map(({ message }) => message);
}
