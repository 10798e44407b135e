// Owns how long a server may be silent: the limits, and the watch that is told of what comes and calls out when that is next to nothing.
import { stageMsMax } from './retry.ts';

export interface LinkLimits {
  readonly connectMsMax: number;
  /** Without an answer, or a fair part of one, for so long while one is due, the link is given up. */
  readonly silenceMsMax: number;
}

/** What breaks the silence in the middle of an answer: a line that drips is of no more use than one that is dead. */
const PART_BYTES_MIN = 2048;

export const LINK_LIMITS: LinkLimits = { connectMsMax: 15_000, silenceMsMax: 30_000 };

/** Errors: usage/bad-option. */
export function limitsHere(): LinkLimits {
  const most = stageMsMax();
  return {
    connectMsMax: Math.min(LINK_LIMITS.connectMsMax, most),
    silenceMsMax: Math.min(LINK_LIMITS.silenceMsMax, most),
  };
}

export interface Watch {
  /** An answer is due from now on. */
  begin(): void;
  /** No answer is due. */
  end(): void;
  /** An answer began; `graceMs` for one that the server has put off. */
  touch(graceMs?: number): void;
  /** So many bytes came. */
  took(bytes: number): void;
}

export function watchSilence(silenceMsMax: number, onSilence: () => void): Watch {
  let last = 0;
  let bytesSince = 0;
  let timer: NodeJS.Timeout | undefined;
  const isSilent = () => timer !== undefined && performance.now() - last >= silenceMsMax;
  const call = () => {
    if (isSilent()) onSilence();
  };
  const touch = (graceMs = 0) => {
    last = performance.now() + graceMs;
    bytesSince = 0;
  };
  return {
    begin() {
      if (timer !== undefined) return;
      touch();
      // after a look at the socket: it was this thread that was busy, if something lies there
      timer = setInterval(() => isSilent() && setImmediate(call), silenceMsMax / 4).unref();
    },
    end() {
      clearInterval(timer);
      timer = undefined;
    },
    touch,
    took(bytes) {
      bytesSince += bytes;
      if (bytesSince >= PART_BYTES_MIN) touch();
    },
  };
}
