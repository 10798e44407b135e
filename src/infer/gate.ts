// Owns waiting for something to change: many may wait, all go on at once, and a signal ends the wait of one.

export class Gate {
  #waiting: (() => void)[] = [];

  /** Until it is opened, or the signal comes; then the caller looks again. */
  wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const go = (): void => {
        signal.removeEventListener('abort', go);
        resolve();
      };
      signal.addEventListener('abort', go, { once: true });
      this.#waiting.push(go);
    });
  }

  open(): void {
    for (const go of this.#waiting.splice(0)) go();
  }
}
