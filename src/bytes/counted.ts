// Owns the count of what travels: requests, bytes and retries by server, one tally a thread; workers hand theirs to the main one.

/** Of one server, such as `https://host:1094`. */
export interface Traffic {
  /** Requests sent, those of retries and redirects included. */
  requests: number;
  /** Bytes that readers asked for. */
  bytesAsked: number;
  /** Bytes that came, with headers and whatever lay between; bytes sent where something is written. */
  bytesTravelled: number;
  /** Requests that were made again after one that failed. */
  retries: number;
}

let tally = new Map<string, Traffic>();

/** The counters of a server in this thread: to be added to, never read. */
export function trafficOf(server: string): Traffic {
  let traffic = tally.get(server);
  if (traffic === undefined) {
    traffic = { requests: 0, bytesAsked: 0, bytesTravelled: 0, retries: 0 };
    tally.set(server, traffic);
  }
  return traffic;
}

export type Tally = readonly (readonly [server: string, traffic: Readonly<Traffic>])[];

/** What this thread counted since the last call, and from now on it counts from 0; undefined where that is nothing. */
export function takeTally(): Tally | undefined {
  if (tally.size === 0) return undefined;
  const taken = [...tally];
  tally = new Map();
  return taken;
}

/** Adds what another thread counted. */
export function addTally(other: Tally): void {
  for (const [server, traffic] of other) {
    const sum = trafficOf(server);
    sum.requests += traffic.requests;
    sum.bytesAsked += traffic.bytesAsked;
    sum.bytesTravelled += traffic.bytesTravelled;
    sum.retries += traffic.retries;
  }
}

/** All that was counted so far, by the names of the servers. */
export function tallyNow(): Tally {
  return [...tally]
    .map(([server, traffic]) => [server, { ...traffic }] as const)
    .sort(([left], [right]) => (left < right ? -1 : 1));
}
