// Owns what is known of a server's speed: how long a request may take, and how long one more would.
import type { Policy } from './policy.ts';

/** As TCP does it: an eighth of each new time goes into the mean, a quarter into the deviation. */
const MEAN_PART = 1 / 8;
const DEVIATION_PART = 1 / 4;
/** A request that takes this many times longer than all before is lost. */
const PATIENCE = 4;

export class Latency {
  #mean = 0;
  #deviation = 0;
  #msPerRow = 0;
  #rowsMax = 0;
  /** Doubles with each request that was given up, so that a server that became slow is waited for in the end. */
  #stretch = 1;

  answered({ ms, rows }: { readonly ms: number; readonly rows: number }): void {
    if (this.#mean === 0) {
      this.#mean = ms;
      this.#deviation = ms / 2;
      this.#msPerRow = ms / rows;
    } else {
      this.#deviation += DEVIATION_PART * (Math.abs(ms - this.#mean) - this.#deviation);
      this.#mean += MEAN_PART * (ms - this.#mean);
      // what a small request costs is not its rows
      if (rows * 4 >= this.#rowsMax) this.#msPerRow += MEAN_PART * (ms / rows - this.#msPerRow);
    }
    this.#stretch = 1;
    this.#rowsMax = Math.max(this.#rowsMax, rows);
  }

  gaveUp(): void {
    this.#stretch *= 2;
  }

  deadlineMs({ deadlineFirstMs, deadlineMinMs, deadlineMaxMs }: Policy): number {
    const usual = this.#mean === 0 ? deadlineFirstMs : PATIENCE * (this.#mean + 4 * this.#deviation);
    return Math.min(deadlineMaxMs, Math.max(deadlineMinMs, usual) * this.#stretch);
  }

  /** 0 = nothing is known. */
  get msPerRow(): number {
    return this.#msPerRow;
  }

  get meanMs(): number {
    return this.#mean;
  }
}
