// Owns how long a server may be silent: the limits, and the watch that is told of each byte and calls out when none came.

export interface LinkLimits {
  readonly connectMsMax: number;
  /** Without a byte for so long while an answer is due, the link is given up. */
  readonly silenceMsMax: number;
}

export const LINK_LIMITS: LinkLimits = { connectMsMax: 15_000, silenceMsMax: 30_000 };

export interface Watch {
  /** An answer is due from now on. */
  begin(): void;
  /** No answer is due. */
  end(): void;
  /** Something came; `graceMs` for an answer that the server has put off. */
  touch(graceMs?: number): void;
}

export function watchSilence(silenceMsMax: number, onSilence: () => void): Watch {
  let last = 0;
  let timer: NodeJS.Timeout | undefined;
  const isSilent = () => timer !== undefined && performance.now() - last >= silenceMsMax;
  const call = () => {
    if (isSilent()) onSilence();
  };
  return {
    begin() {
      if (timer !== undefined) return;
      last = performance.now();
      // after a look at the socket: it was this thread that was busy, if something lies there
      timer = setInterval(() => isSilent() && setImmediate(call), silenceMsMax / 4).unref();
    },
    end() {
      clearInterval(timer);
      timer = undefined;
    },
    touch(graceMs = 0) {
      last = performance.now() + graceMs;
    },
  };
}
