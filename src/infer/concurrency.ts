// Owns how many requests one server gets at once: more while that gives more rows a second, fewer when it queues or says busy.

/** A window ends after so many answers for each request in flight, and this long at least: shorter ones are noise. */
const WINDOW_ROUNDS = 4;
const WINDOW_MS_MIN = 100;
/** What one more request in flight must bring to be kept, and what twice as many must. */
const GAIN_MIN = 1.05;
const DOUBLE_GAIN_MIN = 1.1;
/** After a step that brought nothing, so many windows go by before the next try. */
const REST_WINDOWS = 20;
const START = 2;

export class Concurrency {
  readonly max: number;
  #limit: number;
  /** The first window is not judged: code and connections are cold, and any step after it would seem to pay. */
  #isCold = true;
  /** Until a step brings nothing: a run of seconds should not spend them on finding its pace. */
  #doubles = true;
  #rest = 0;
  /** Rows a millisecond before the last step up, and how many were in flight; undefined = the last step was none. */
  #before: { readonly rate: number; readonly limit: number } | undefined;
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
    if (this.#full > this.#answers / 2) {
      if (!this.#isCold) this.#step(this.#rows / ms);
      this.#isCold = false;
    }
    this.#begin(now);
  }

  #step(rate: number): void {
    const before = this.#before;
    this.#before = undefined;
    if (before !== undefined && rate < before.rate * (this.#doubles ? DOUBLE_GAIN_MIN : GAIN_MIN)) {
      this.#limit = before.limit;
      this.#doubles = false;
      this.#rest = REST_WINDOWS;
      return;
    }
    if (this.#rest > 0) {
      this.#rest -= 1;
      return;
    }
    if (this.#limit >= this.max) return;
    this.#before = { rate, limit: this.#limit };
    this.#limit = Math.min(this.max, this.#doubles ? 2 * this.#limit : this.#limit + 1);
  }

  /** The server said that it has too much to do. */
  busy(): void {
    this.#limit = Math.max(1, Math.floor(this.#limit / 2));
    this.#doubles = false;
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
