// Owns one request on its way to an answer: it waits, is sent, waits again after a failure, and is settled once.
import type { Server } from './server.ts';
import { rowsOf } from './tensor.ts';
import type { InferRequest, InferResponse } from './types.ts';

/** An answer, and who gave it; of parts, who gave the last one. */
export interface Answer extends InferResponse {
  readonly server: string;
}

export class Job {
  readonly request: InferRequest;
  readonly rows: number;
  readonly signal: AbortSignal;
  readonly answer: Promise<Answer>;
  /** Where it failed, or for a check, who answered it before: another server is better. */
  avoid: Server | undefined;
  /** Answers that were wrong, and failures of the model. */
  tries = 0;
  failingSince: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  readonly #settle: { readonly resolve: (answer: Answer) => void; readonly reject: (cause: unknown) => void };

  /** `aborted` is called once if the signal comes before it is settled. */
  constructor(request: InferRequest, signal: AbortSignal, aborted: (job: Job) => void) {
    this.request = request;
    this.rows = rowsOf(request.inputs);
    this.signal = signal;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.answer = promise;
    const leave = (): void => aborted(this);
    const settled = (): void => {
      this.wake();
      signal.removeEventListener('abort', leave);
    };
    signal.addEventListener('abort', leave, { once: true });
    this.#settle = {
      resolve: (answer) => {
        settled();
        resolve(answer);
      },
      reject: (cause) => {
        settled();
        reject(cause);
      },
    };
  }

  resolve(answer: Answer): void {
    this.#settle.resolve(answer);
  }

  reject(cause: unknown): void {
    this.#settle.reject(cause);
  }

  /** Calls back unless it is woken before. */
  waitAtMost(ms: number, late: () => void): void {
    this.wake();
    this.#timer = setTimeout(late, ms);
  }

  wake(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
