// Owns going on with another server's copy of a file when the one that is read from fails in the middle of it.
import { ColweaveError } from '../core/errors.ts';
import type { FileDescriptor, SourceFile } from './types.ts';

/** Another server may have what one has not, does not give, or is too busy to give; all else is the file's own trouble. */
const ELSEWHERE = /^(remote\/(?!changed)|credentials\/|cache\/offline-miss$|source\/(not-found|not-readable|remote)$)/;

export const isForAnother = (error: unknown): error is ColweaveError =>
  error instanceof ColweaveError && ELSEWHERE.test(error.code);

/** Opens a described file; the format compares its size and its UUID or sum with what was described. */
type Reopen = (descriptor: FileDescriptor) => Promise<SourceFile>;

/** The error of the first server, with what the others said. */
export function failedAll([first, ...others]: readonly [ColweaveError, ...ColweaveError[]]): ColweaveError {
  const { code, message, where, near, hint, details, cause } = first;
  const said = others.map((other) => `${other.where[0] ?? ''}: ${other.code}: ${other.message}`);
  return new ColweaveError(code, message, { where, near, hint, cause, details: [...details, ...said] });
}

/** Opens a described file where it was found, or a copy. Errors: that of the first server, with what the others said. */
export async function reopenAnywhere(descriptor: FileDescriptor, reopen: Reopen): Promise<SourceFile> {
  if (descriptor.replicas === undefined) return reopen(descriptor);
  const copies = makeCopies(descriptor, reopen);
  const file = await reopen(descriptor).catch((error: unknown) => {
    if (!isForAnother(error)) throw error;
    return copies.next(error);
  });
  return withCopies({ ...file, descriptor }, copies);
}

/** Its descriptor names the copies. */
export function withReplicas(file: SourceFile, reopen: Reopen): SourceFile {
  return withCopies(file, makeCopies(file.descriptor, reopen));
}

interface Copies {
  /** Opens the next that is the same file, as the last failed so. Errors: that of the first, with what the others said. */
  next(error: ColweaveError): Promise<SourceFile>;
}

function makeCopies(descriptor: FileDescriptor, reopen: Reopen): Copies {
  const left = [...(descriptor.replicas ?? [])];
  const failed: ColweaveError[] = [];
  return {
    async next(error) {
      failed.push(error);
      for (let uri = left.shift(); uri !== undefined; uri = left.shift()) {
        try {
          return await reopen({ ...descriptor, uri });
        } catch (cause) {
          // one that is another file is of no more use than none
          if (!(cause instanceof ColweaveError)) throw cause;
          failed.push(cause);
        }
      }
      throw failedAll(failed as [ColweaveError, ...ColweaveError[]]);
    },
  };
}

function withCopies(first: SourceFile, copies: Copies): SourceFile {
  const opened = [first];
  let moving: Promise<void> | undefined;
  const current = () => opened.at(-1)!;
  const moveOn = async (error: ColweaveError): Promise<void> => {
    opened.push(await copies.next(error));
  };
  return {
    ...first,
    async read(...asked) {
      for (;;) {
        const file = current();
        try {
          return await file.read(...asked);
        } catch (error) {
          if (!isForAnother(error)) throw error;
          // several reads of one file fail together
          if (file === current()) {
            moving ??= moveOn(error).finally(() => {
              moving = undefined;
            });
          }
          await moving;
        }
      }
    },
    askAhead: (...asked) => current().askAhead?.(...asked),
    forget: () => current().forget?.(),
    async close() {
      await Promise.all(opened.map((file) => file.close()));
    },
  };
}
