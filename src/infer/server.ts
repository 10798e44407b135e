// Owns what is known of one server during a run: whether it is up, how busy it is, how fast, and what went wrong.
import { Concurrency } from './concurrency.ts';
import { Latency } from './latency.ts';
import { type Policy, pauseOf } from './policy.ts';
import type { ServerError } from './server-error.ts';
import type { Endpoint } from './types.ts';

/** up = gets rows; down = is asked from time to time whether it is back; out = never again in this run. */
export type ServerState = 'up' | 'down' | 'out';

export interface ServerReport {
  readonly url: string;
  readonly state: ServerState;
  /** Requests that were answered right, and their rows. */
  readonly answers: number;
  readonly rows: number;
  /** Requests that failed and were sent again, by code of the error. */
  readonly failures: Readonly<Record<string, number>>;
  readonly meanMs: number;
  readonly concurrency: number;
  /** Why it is not up. */
  readonly reason: string;
}

/** A model that comes and goes so often behind one URL is on some of its servers only. */
const ABSENCES_MAX = 3;
/** Failures in a row that take a server down, where one says little. */
const FAILURES_MAX = 2;

export class Server {
  readonly endpoint: Endpoint;
  readonly latency = new Latency();
  readonly concurrency: Concurrency;
  state: ServerState = 'down';
  error: ServerError | undefined;
  inFlight = 0;
  rowsInFlight = 0;
  pausedUntil = 0;
  #busyInRow = 0;
  #failuresInRow = 0;
  #absences = 0;
  #answers = 0;
  #rows = 0;
  readonly #failures: Record<string, number> = {};
  readonly #policy: Policy;

  constructor(endpoint: Endpoint, policy: Policy) {
    this.endpoint = endpoint;
    this.#policy = policy;
    this.concurrency = new Concurrency(policy.concurrencyMax);
  }

  isFree(now: number): boolean {
    return this.isOpen(now) && this.inFlight < this.concurrency.limit;
  }

  /** It takes requests, though perhaps not one more. */
  isOpen(now: number): boolean {
    return this.state === 'up' && this.pausedUntil <= now;
  }

  /** When its work would be done with these rows, from now; least = first choice. */
  workMs(rows: number): number {
    // before anything is measured, rows count as such: servers are tried in turn
    return (this.rowsInFlight + rows) * (this.latency.msPerRow || 1e-9);
  }

  sent(rows: number): void {
    this.inFlight += 1;
    this.rowsInFlight += rows;
  }

  done(rows: number): void {
    this.inFlight -= 1;
    this.rowsInFlight -= rows;
  }

  answered({ ms, rows, now }: { readonly ms: number; readonly rows: number; readonly now: number }): void {
    this.concurrency.answered({ rows, inFlight: this.inFlight + 1, now });
    this.latency.answered({ ms, rows });
    this.#answers += 1;
    this.#rows += rows;
    this.#busyInRow = 0;
    this.#failuresInRow = 0;
  }

  /** Leaves it alone for a while. It is not a failure: others are being served. */
  busy(error: ServerError, now: number): void {
    this.#count(error);
    if (this.pausedUntil > now) return; // several requests were refused at once
    this.concurrency.busy();
    this.pausedUntil = now + Math.max(error.retryAfterMs ?? 0, pauseOf(this.#busyInRow, this.#policy));
    this.#busyInRow += 1;
  }

  /** Returns whether this takes it down. */
  failed(error: ServerError): boolean {
    this.#count(error);
    if (error.code === 'infer/no-answer') this.latency.gaveUp();
    // a batch that a model cannot take says nothing about the server
    if (error.code === 'infer/model-failed') return false;
    this.#failuresInRow += 1;
    const certain = error.code === 'infer/unreachable' || error.code === 'infer/no-model';
    if (this.state !== 'up' || (!certain && this.#failuresInRow < FAILURES_MAX)) return false;
    this.state = 'down';
    this.error = error;
    if (error.code === 'infer/no-model') this.absent();
    return true;
  }

  /** The model was there before, or is there for another question. */
  absent(): void {
    this.#absences += 1;
  }

  get comesAndGoes(): boolean {
    return this.#absences >= ABSENCES_MAX;
  }

  back(): void {
    this.state = 'up';
    this.error = undefined;
    this.#failuresInRow = 0;
  }

  #count({ code }: ServerError): void {
    this.#failures[code] = (this.#failures[code] ?? 0) + 1;
  }

  report(): ServerReport {
    return {
      url: this.endpoint.url,
      state: this.state,
      answers: this.#answers,
      rows: this.#rows,
      failures: { ...this.#failures },
      meanMs: this.latency.meanMs,
      concurrency: this.concurrency.limit,
      reason: this.error?.message ?? '',
    };
  }
}
