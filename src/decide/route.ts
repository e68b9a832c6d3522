/** A region as a client might be sent there. */
export interface Destination {
  readonly name: string;
  /** By `steer`: whether it serves at all. */
  readonly serves: boolean;
  /** Places that it is near to, in the user's own words: countries, continents, cities, networks. */
  readonly near: readonly string[];
}

/** Who asks, as far as it is known. */
export interface Asker {
  /** Its places, the narrowest first: `['Lyon', 'FR', 'EU']`. */
  readonly places: readonly string[];
  /** Measured from near to it, in milliseconds; a region that was not measured is absent. */
  readonly latencyMs: Readonly<Record<string, number>>;
}

export type Route =
  | { readonly to: string; readonly by: 'place' | 'latency' | 'order'; readonly words: string; readonly others: readonly string[] }
  | { readonly to: null; readonly words: string };

/**
 * The region for a client: the nearest of those that serve by the narrowest place that any of them is near to, else the fastest by measured latency, else the first of
 * the configuration. Several that are equally near are told apart by latency, then by their order, so that everybody who asks gets the same answer.
 */
export function routeOf(destinations: readonly Destination[], { places, latencyMs }: Asker): Route {
  const serving = destinations.filter(({ serves }) => serves);
  const fastestFirst = (of: readonly Destination[]): string[] => {
    const time = ({ name }: Destination): number => latencyMs[name] ?? Number.POSITIVE_INFINITY;
    // Two that were not measured differ by no number: their order stays.
    return of.toSorted((a, b) => (time(a) === time(b) ? 0 : time(a) - time(b))).map(({ name }) => name);
  };
  const answer = (order: readonly string[], by: 'place' | 'latency' | 'order', words: string): Route => {
    const [to = '', ...others] = order;
    return { to, by, words, others };
  };
  if (serving.length === 0) return { to: null, words: destinations.length === 0 ? 'there is no region' : 'no region serves' };
  for (const place of places) {
    const near = serving.filter((one) => one.near.includes(place));
    if (near.length === 0) continue;
    const order = [...fastestFirst(near), ...fastestFirst(serving.filter((one) => !near.includes(one)))];
    return answer(order, 'place', near.length === 1 ? `it is near ${place}` : `${near.length} are near ${place}, and it is the fastest or first of them`);
  }
  const order = fastestFirst(serving);
  const measured = latencyMs[order[0] ?? ''];
  if (measured !== undefined) return answer(order, 'latency', `it answers in ${Math.round(measured)} ms, and nobody sooner`);
  return answer(
    order,
    'order',
    places.length === 0
      ? 'nothing is known of the client: it is the first'
      : `no region that serves is near ${places.join(', ')}, and none was measured: it is the first`,
  );
}
