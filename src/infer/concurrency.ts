// Owns how many requests one server gets at once: more while that gives more rows a second, fewer when it queues or says busy.

/** A window ends after so many answers for each request in flight, and this long at least: shorter ones are noise. */
const WINDOW_ROUNDS = 4;
const WINDOW_MS_MIN = 200;
/** What one more request in flight must bring to be kept. */
const GAIN_MIN = 1.05;
/** After a step that brought nothing, so many windows go by before the next try. */
const REST_WINDOWS = 20;
const START = 2;

export class Concurrency {
  readonly max: number;
  #limit: number;
  #rest = 0;
  /** Rows a millisecond before the last step up; undefined = the last step was none. */
  #before: number | undefined;
  #rows = 0;
  #answers = 0;
  #full = 0;
  #since: number | undefined;

  constructor(max: number) {
    this.max = max;
    this.#limit = Math.min(START, max);
  }

  get limit(): number {
    return this.#limit;
  }

  /** `inFlight` before this answer came. */
  answered({ rows, inFlight, now }: { readonly rows: number; readonly inFlight: number; readonly now: number }): void {
    if (this.#since === undefined) {
      this.#begin(now);
      return;
    }
    this.#rows += rows;
    this.#answers += 1;
    if (inFlight >= this.#limit) this.#full += 1;
    const ms = now - this.#since;
    if (this.#answers < WINDOW_ROUNDS * this.#limit || ms < WINDOW_MS_MIN) return;
    // a window in which the caller had no work says nothing about the server
    if (this.#full > this.#answers / 2) this.#step(this.#rows / ms);
    this.#begin(now);
  }

  #step(rate: number): void {
    const before = this.#before;
    this.#before = undefined;
    if (before !== undefined && rate < before * GAIN_MIN) {
      this.#limit = Math.max(1, this.#limit - 1);
      this.#rest = REST_WINDOWS;
      return;
    }
    if (this.#rest > 0) {
      this.#rest -= 1;
      return;
    }
    if (this.#limit >= this.max) return;
    this.#before = rate;
    this.#limit += 1;
  }

  /** The server said that it has too much to do. */
  busy(): void {
    this.#limit = Math.max(1, Math.floor(this.#limit / 2));
    this.#rest = REST_WINDOWS;
    this.#before = undefined;
    this.#since = undefined;
  }

  #begin(now: number): void {
    this.#since = now;
    this.#rows = 0;
    this.#answers = 0;
    this.#full = 0;
  }
}
