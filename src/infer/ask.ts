// Owns the seam between rows and servers: who answers a request, and how many may be on their way.
import type { InferRequest, InferResponse, ModelInfo } from './types.ts';

/** One server, many behind a balancer, or the machine itself. Errors: those of the catalogue, after all retries. */
export interface Asker {
  /** Of the version that is pinned. */
  readonly info: ModelInfo;
  /** Resolves when one more request is worth making. Errors: what no server can do better any more. */
  room(signal: AbortSignal): Promise<void>;
  ask(request: InferRequest, signal: AbortSignal): Promise<InferResponse>;
}

/** What is bound for servers or on its way back stays below this. */
const FLYING_BYTES_MAX = 96 * 2 ** 20;

/** Lets requests go as long as there is room, and remembers the first failure. */
export interface Lane {
  /** Waits until so many bytes may go. Throws the first failure of any request. */
  enter(bytes: number): Promise<void>;
  /** The request that was let go. */
  follow(bytes: number, work: Promise<void>): Promise<void>;
}

export function openLane(asker: Asker, signal: AbortSignal): Lane {
  let bytesFlying = 0;
  let failure: { readonly error: unknown } | undefined;
  let wake: (() => void) | undefined;
  const landed = (bytes: number): void => {
    bytesFlying -= bytes;
    wake?.();
  };
  return {
    async enter(bytes) {
      while (failure === undefined && bytesFlying > 0 && bytesFlying + bytes > FLYING_BYTES_MAX) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      if (failure === undefined) await asker.room(signal);
      if (failure !== undefined) throw failure.error;
    },
    follow(bytes, work) {
      bytesFlying += bytes;
      const done = work.then(
        () => landed(bytes),
        (error: unknown) => {
          failure ??= { error };
          landed(bytes);
          throw error;
        },
      );
      done.catch(() => {}); // thrown by the next to enter, or by who waits for the block
      return done;
    },
  };
}
