// Owns the sink `arrow`: an Arrow IPC stream, uncompressed, to a file or (target `-`) to the standard output.
//
// The metadata, and so the receipt, belong to the schema, which comes first in a stream but is known last. So the batches
// are spooled, and the stream is put together at the end: schema with metadata, batches, end. Nothing is printed before.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as Arrow from 'apache-arrow';
import { invariant } from '../core/check.ts';
import type { Column } from '../core/column.ts';
import { ColweaveError } from '../core/errors.ts';
import type { Schema } from '../core/schema.ts';
import { arrowColumn, type EncodedArrow } from './arrow/columns.ts';
import { batchBytes, END_OF_STREAM, schemaBytes } from './arrow/messages.ts';
import { openPartFile, outputError, type PartFile } from './part-file.ts';
import type { Fingerprint, Sink, SinkFormat } from './types.ts';

const STDOUT = '-';
/** Chunks of the spool on their way to the target. */
const COPY_BYTES = 1 << 20;

export const arrow: SinkFormat<EncodedArrow> = {
  name: 'arrow',
  keepsColumns: true,
  check: checkSchema,
  encode: async (fields, columns: readonly Column[]) => {
    invariant(fields.length === columns.length, 'a column for each field');
    return columns.map(arrowColumn);
  },
  async open(target, schema, options) {
    checkSchema(schema);
    const library = await import('apache-arrow');
    if (target !== STDOUT) return arrowSink(library, schema, await fileTarget(target, options));
    return arrowSink(library, schema, await stdoutTarget());
  },
};

function checkSchema({ fields }: Schema): void {
  if (fields.length === 0) throw new ColweaveError('sink/cannot-write-type', 'there is no column to write');
}

/** Where batches are kept, and what makes a stream of them. */
interface Target {
  readonly spool: PartFile;
  /** Called once, after the last batch. */
  finish(head: Uint8Array): Promise<void>;
  commit(): Promise<void>;
  abort(): Promise<void>;
}

async function fileTarget(path: string, options: { readonly force: boolean }): Promise<Target> {
  const spool = await openPartFile(path, options);
  let whole: PartFile | undefined;
  return {
    spool,
    async finish(head) {
      await spool.finish();
      whole = await openPartFile(path, options);
      await whole.write(head);
      for await (const bytes of spooled(spool)) await whole.write(bytes);
      await whole.write(END_OF_STREAM);
      await whole.finish();
      await spool.abort();
    },
    async commit() {
      invariant(whole !== undefined, 'finish comes before commit');
      await whole.commit();
    },
    async abort() {
      await spool.abort();
      await whole?.abort();
    },
  };
}

async function stdoutTarget(): Promise<Target> {
  const directory = process.env._CONDOR_SCRATCH_DIR ?? tmpdir();
  const spool = await openPartFile(join(directory, 'colweave-stdout'), { force: true });
  let head: Uint8Array | undefined;
  return {
    spool,
    async finish(bytes) {
      head = bytes;
      await spool.finish();
    },
    async commit() {
      invariant(head !== undefined, 'finish comes before commit');
      try {
        await printAll(head, spool);
      } finally {
        await spool.abort();
      }
    },
    abort: () => spool.abort(),
  };
}

function spooled(spool: PartFile): AsyncIterable<Uint8Array> {
  return createReadStream(spool.path, { highWaterMark: COPY_BYTES });
}

/** A reader that goes away (EPIPE) has had enough: no error. */
async function printAll(head: Uint8Array, spool: PartFile): Promise<void> {
  const { stdout } = process;
  const ignore = () => undefined;
  stdout.on('error', ignore);
  try {
    await print(head);
    for await (const bytes of spooled(spool)) await print(bytes);
    await print(END_OF_STREAM);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EPIPE') return;
    throw cause instanceof ColweaveError ? cause : outputError(STDOUT, cause);
  }
}

function print(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}

function arrowSink(library: typeof Arrow, schema: Schema, target: Target): Sink<EncodedArrow> {
  const groups: { rows: number; sha256: string }[] = [];
  return {
    async append(rows, encoded) {
      invariant(encoded.length === schema.fields.length, 'a column for each field');
      if (rows === 0) return;
      const bytes = batchBytes(library, schema, rows, encoded);
      groups.push({ rows, sha256: createHash('sha256').update(bytes).digest('hex') });
      await target.spool.write(bytes);
    },
    fingerprint(): Fingerprint {
      return { bytes: target.spool.position, rowGroups: groups };
    },
    finish: (metadata) => target.finish(schemaBytes(library, schema, metadata)),
    commit: () => target.commit(),
    abort: () => target.abort(),
  };
}
