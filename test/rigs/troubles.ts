// Owns three real servers and what happens to them in a soak: one is killed and started again, one stands still every other second, one serves another version for a while.
import { setTimeout as sleep } from 'node:timers/promises';
import { serveOnly } from './serve-only.ts';
import { startTriton, type Triton } from './triton.ts';

/** The first one is killed this often; the third one is exchanged half as long after the start, and again as often. */
export interface TroubleOptions {
  readonly secondsKilled: number;
}

export interface Troubles {
  readonly servers: readonly Triton[];
  /** When the killed server was ready again, by performance.now(). */
  readonly restarts: readonly number[];
  /** How often the other version was served. */
  readonly exchanges: number;
  end(): Promise<void>;
}

/** Servers of the model mlp, whose versions 1 and 2 give other scores. Nothing happens to them after `end`. */
export async function openTroubles({ secondsKilled }: TroubleOptions): Promise<Troubles> {
  const servers = await Promise.all([0, 1, 2].map(() => startTriton({ models: ['mlp'] })));
  const over = new AbortController();
  const { signal } = over;
  const restarts: number[] = [];
  let exchanges = 0;
  const killAndRestart = async (server: Triton): Promise<void> => {
    for (;;) {
      await sleep(1000 * secondsKilled, undefined, { signal });
      await server.kill();
      await server.restart();
      restarts.push(performance.now());
    }
  };
  const exchange = async (server: Triton): Promise<void> => {
    await sleep(500 * secondsKilled, undefined, { signal });
    for (;;) {
      const back = await serveOnly(server, 'mlp', 2);
      exchanges += 1;
      try {
        await sleep(1000 * secondsKilled, undefined, { signal });
      } finally {
        await back();
      }
      await sleep(2000 * secondsKilled, undefined, { signal });
    }
  };
  const trouble = [killAndRestart(servers[0]!), standStill(servers[1]!, signal), exchange(servers[2]!)];
  const ended = Promise.allSettled(trouble);
  return {
    servers,
    restarts,
    get exchanges() {
      return exchanges;
    },
    end: async () => {
      over.abort();
      const failures = (await ended).flatMap((each) => (each.status === 'rejected' ? [each.reason as Error] : []));
      await Promise.all(servers.map((server) => server.stop()));
      // a trouble that did not come proves nothing
      for (const failure of failures) if (failure.name !== 'AbortError') throw failure;
    },
  };
}

async function standStill(server: Triton, signal: AbortSignal): Promise<void> {
  try {
    for (;;) {
      await sleep(1000, undefined, { signal });
      process.kill(server.pid(), 'SIGSTOP');
      await sleep(1000, undefined, { signal });
      process.kill(server.pid(), 'SIGCONT');
    }
  } finally {
    process.kill(server.pid(), 'SIGCONT');
  }
}
