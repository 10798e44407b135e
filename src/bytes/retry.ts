// Owns trying again: what is worth it, how long to wait between, and the time after which it is given up.
import { ColweaveError, type ErrorCode } from '../core/errors.ts';
import { trafficOf } from './counted.ts';

export interface RetryPolicy {
  /** First try included. */
  readonly triesMax: number;
  /** Before the second try; twice as long before each one after that. */
  readonly delayMs: number;
  readonly delayMsMax: number;
  /** Of all tries together, waiting included. */
  readonly deadlineMs: number;
}

/** A busy server or a lost connection passes in seconds; who waits longer has a batch system that tries again (75). */
export const RETRY: RetryPolicy = { triesMax: 5, delayMs: 200, delayMsMax: 8000, deadlineMs: 180_000 };

/** $COLWEAVE_REMOTE_TIMEOUT: seconds that one request may take, with all of its tries. Errors: usage/bad-option. */
function timeoutMs(env: NodeJS.ProcessEnv = process.env): number | undefined {
  const text = env.COLWEAVE_REMOTE_TIMEOUT;
  if (text === undefined || text === '') return undefined;
  const seconds = Number(text);
  if (seconds > 0 && seconds <= 86_400) return seconds * 1000;
  throw new ColweaveError('usage/bad-option', `COLWEAVE_REMOTE_TIMEOUT cannot be "${text}"`, {
    hint: 'give a number of seconds, such as 60',
  });
}

/** Errors: usage/bad-option. */
export function policyHere(): RetryPolicy {
  const deadlineMs = timeoutMs();
  return deadlineMs === undefined ? RETRY : { ...RETRY, deadlineMs };
}

/** How long any stage of a try may last, so that there is time for a few. */
export function stageMsMax(): number {
  return (timeoutMs() ?? Number.POSITIVE_INFINITY) / 4;
}

/** Thrown by one try when another may do better; `error` is what is told when none did. */
export class TryAgain extends Error {
  override readonly name = 'TryAgain';
  readonly error: ColweaveError;
  /** The server's own word on how long to wait. */
  readonly afterMs: number | undefined;

  constructor(error: ColweaveError, afterMs?: number) {
    super(error.message, { cause: error });
    this.error = error;
    this.afterMs = afterMs;
  }
}

const WORTH: ReadonlySet<ErrorCode> = new Set([
  'remote/unreachable',
  'remote/timeout',
  'remote/busy',
  'remote/protocol',
]);

/** By what the catalogue says of it: a file that is absent, replaced or forbidden stays so. */
export function worthRetrying(error: ColweaveError): boolean {
  return WORTH.has(error.code);
}

export interface Tries {
  /** As counted.ts names it. */
  readonly server: string;
  /** What is shown of the place. */
  readonly where: readonly string[];
  readonly policy?: RetryPolicy;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Calls `work` until it succeeds, throws something else than TryAgain, or tries or time are used up. The signal that it
 * gets ends at the deadline. Errors: that of the last try, saying how many there were; remote/timeout.
 */
export async function retrying<T>(work: (signal: AbortSignal, tries: number) => Promise<T>, tries: Tries): Promise<T> {
  const { server, where, policy = RETRY, signal } = tries;
  const start = performance.now();
  const deadline = AbortSignal.timeout(policy.deadlineMs);
  const either = signal === undefined ? deadline : AbortSignal.any([signal, deadline]);
  const secondsSince = () => ((performance.now() - start) / 1000).toFixed(1);
  for (let count = 1; ; count++) {
    try {
      return await work(either, count);
    } catch (cause) {
      signal?.throwIfAborted();
      if (deadline.aborted) throw outOfTime(where, policy, cause);
      if (!(cause instanceof TryAgain)) throw cause;
      const delay = cause.afterMs ?? jittered(Math.min(policy.delayMs * 2 ** (count - 1), policy.delayMsMax));
      const left = policy.deadlineMs - (performance.now() - start);
      if (count >= policy.triesMax || delay >= left) throw afterTries(cause.error, count, secondsSince());
      await sleep(delay, either);
      signal?.throwIfAborted();
      trafficOf(server).retries++;
    }
  }
}

/** Between half of it and all: clients that failed together must not come back together. */
function jittered(delayMs: number): number {
  return delayMs * (0.5 + Math.random() / 2);
}

/** Ends early, without an error, when the signal fires. */
function sleep(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, delayMs);
    if (signal.aborted) done();
    else signal.addEventListener('abort', done, { once: true });
  });
}

function outOfTime(where: readonly string[], { deadlineMs }: RetryPolicy, cause: unknown): ColweaveError {
  const last = cause instanceof TryAgain ? cause.error : undefined;
  return new ColweaveError('remote/timeout', `given up after ${deadlineMs / 1000} s`, {
    where,
    ...(last === undefined ? {} : { details: [`last: ${last.message}`], cause: last }),
  });
}

function afterTries(error: ColweaveError, count: number, seconds: string): ColweaveError {
  if (count === 1) return error;
  const { code, message, where, near, hint, cause } = error;
  const details = [...error.details, `tried ${count} times in ${seconds} s`];
  return new ColweaveError(code, message, { where, near, hint, cause, details });
}
