// How the program ends: exit statuses, signals, broken pipes, and what an unknown error is taken for.
import { constants } from 'node:os';
import { ColweaveError } from '../core/errors.ts';
import { withoutSecrets } from '../core/secrets.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
export type CaughtSignal = (typeof SIGNALS)[number];

export const signalExit = (name: CaughtSignal): number => 128 + constants.signals[name];

/** The reason given to the abort signal, so that whoever is stopped can tell why. */
export class Interrupted extends Error {
  override readonly name = 'AbortError';
  readonly signalName: CaughtSignal;

  constructor(name: CaughtSignal) {
    super(`interrupted by ${name}`);
    this.signalName = name;
  }
}

/** The first signal asks the command to stop and clean up; the second one ends the process at once. */
export function abortOnSignals(controller: AbortController): { caught(): CaughtSignal | undefined } {
  let caught: CaughtSignal | undefined;
  for (const name of SIGNALS) {
    process.on(name, () => {
      if (caught !== undefined) process.exit(signalExit(name));
      caught = name;
      controller.abort(new Interrupted(name));
    });
  }
  return { caught: () => caught };
}

/** A reader that went away is no error. Writes after that are dropped. */
export class Pipe {
  closed = false;
  readonly stream: NodeJS.WriteStream;

  constructor(stream: NodeJS.WriteStream, onClosed: () => void = () => {}) {
    this.stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      this.closed = true;
      onClosed();
    });
  }

  write(text: string): void {
    // whatever a message quotes: no signature or token of a URL is shown
    if (!this.closed) this.stream.write(withoutSecrets(text));
  }

  /** Ends when all that was written has left the process or has nowhere to go. */
  flushed(): Promise<void> {
    if (this.closed || this.stream.writableLength === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.stream.write('', () => resolve());
      this.stream.once('error', () => resolve());
    });
  }
}

function* causes(error: unknown): Generator<unknown> {
  for (let at = error, depth = 0; at !== undefined && depth < 10; depth++) {
    yield at;
    at = at instanceof Error ? at.cause : undefined;
  }
}

const codeOf = (error: unknown): string | undefined =>
  error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;

export function isBrokenPipe(error: unknown): boolean {
  return [...causes(error)].some((cause) => codeOf(cause) === 'EPIPE');
}

/** Errors that no part of the program named: a full disk or memory are told from a bug of ours. */
export function asColweaveError(error: unknown): ColweaveError {
  if (error instanceof ColweaveError) return error;
  const code = codeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') return new ColweaveError('output/disk-full', message, { cause: error });
  if (code === 'ERR_WORKER_OUT_OF_MEMORY' || /array buffer allocation failed/i.test(message)) {
    return new ColweaveError('memory/not-enough', message, { cause: error });
  }
  return new ColweaveError('internal/bug', message, { cause: error });
}
