// Owns writing to s3://: one PUT, or a multipart upload that is completed when all parts are there, and taken back otherwise.
import { ColweaveError } from '../core/errors.ts';
import { openFileStore } from './file.ts';
import { askDoor, type Door, type DoorAsk, doorTo } from './http-door.ts';
import type { Answer } from './http-message.ts';
import { inParallel } from './parallel.ts';
import { retrying } from './retry.ts';
import { placeOf } from './s3.ts';
import type { ByteTarget } from './target.ts';
import type { ByteStore } from './types.ts';

/** S3 wants 5 MiB at least (but for the last part) and takes 10,000 parts. */
const PART_BYTES_MIN = 16 * 2 ** 20;
const PARTS_MAX = 10_000;
const PARTS_AT_ONCE = 4;
/** For taking back what was begun, when the job itself is given up. */
const ABORT_MS = 20_000;

export const s3Target: ByteTarget = {
  async exists(uri, signal) {
    const answer = await call(door(uri), { method: 'HEAD', headers: {}, expects: [404] }, signal);
    answer.drop();
    return answer.status !== 404;
  },
  async upload(path, uri, signal) {
    const store = openFileStore(path);
    try {
      const target = door(uri);
      await (store.size <= PART_BYTES_MIN ? putWhole(target, store, signal) : putParts(target, store, signal));
      await checkSize(target, store.size, signal);
    } catch (cause) {
      throw asOutput(cause, uri);
    } finally {
      await store.close();
    }
  },
};

function door(uri: string): Door {
  return doorTo(uri, placeOf(uri).url, placeOf(uri));
}

/** What is wrong with an input is told of an output here. */
function asOutput(cause: unknown, uri: string): unknown {
  if (!(cause instanceof ColweaveError) || !cause.code.startsWith('source/')) return cause;
  return new ColweaveError('output/not-writable', cause.message, { where: [uri], details: cause.details, cause });
}

type Call = Omit<DoorAsk, 'signal' | 'expects'> & { readonly expects?: readonly number[] };

function call(target: Door, ask: Call, signal: AbortSignal | undefined): Promise<Answer> {
  return retrying((each) => askDoor(target, { expects: [], ...ask, signal: each }), {
    server: target.url.origin,
    where: [target.uri],
    policy: target.policy,
    signal,
  });
}

async function putWhole(target: Door, store: ByteStore, signal: AbortSignal | undefined): Promise<void> {
  const [body] = await store.read([{ offset: 0, length: store.size }], signal);
  const answer = await call(target, { method: 'PUT', headers: lengthOf(body!), body: body! }, signal);
  await answer.text();
}

const lengthOf = (body: Uint8Array) => ({ 'Content-Length': String(body.length) });

async function putParts(target: Door, store: ByteStore, signal: AbortSignal | undefined): Promise<void> {
  // without the signal: an upload whose name never came back could not be taken back
  const begun = await call(target, { method: 'POST', headers: { 'Content-Length': '0' }, query: 'uploads' }, undefined);
  const id = /<UploadId>([^<]+)<\/UploadId>/.exec(await begun.text())?.[1];
  if (id === undefined) throw odd(target, 'it names no upload');
  const upload = `uploadId=${encodeURIComponent(id)}`;
  try {
    signal?.throwIfAborted();
    const partBytes = Math.max(PART_BYTES_MIN, Math.ceil(store.size / PARTS_MAX));
    const tags = new Array<string>(Math.ceil(store.size / partBytes));
    await inParallel([...tags.keys()], PARTS_AT_ONCE, async (part) => {
      const offset = part * partBytes;
      const [body] = await store.read([{ offset, length: Math.min(partBytes, store.size - offset) }], signal);
      const query = `partNumber=${part + 1}&${upload}`;
      const answer = await call(target, { method: 'PUT', headers: lengthOf(body!), body: body!, query }, signal);
      await answer.text();
      const tag = answer.headers.etag;
      if (tag === undefined) throw odd(target, 'it gives no ETag for a part');
      tags[part] = tag;
    });
    signal?.throwIfAborted();
    await complete(target, upload, tags, signal);
  } catch (cause) {
    await takeBack(target, upload);
    throw cause;
  }
}

async function complete(target: Door, upload: string, tags: readonly string[], signal?: AbortSignal): Promise<void> {
  const parts = tags.map((tag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${xml(tag)}</ETag></Part>`);
  const body = Buffer.from(
    `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${parts.join('')}</CompleteMultipartUpload>`,
  );
  const headers = { ...lengthOf(body), 'Content-Type': 'application/xml' };
  const answer = await call(target, { method: 'POST', headers, body, query: upload }, signal);
  // an answer that takes long begins with 200, whatever becomes of it
  const text = await answer.text();
  const [, message] = /<Error>.*?<Message>([^<]*)<\/Message>/s.exec(text) ?? [];
  if (message !== undefined || text.includes('<Error>'))
    throw odd(target, message ?? 'it did not put the parts together');
}

const xml = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');

/** As far as can be: nothing is under the name in any case, but parts that nobody completes may cost money. */
async function takeBack(target: Door, upload: string): Promise<void> {
  const ask = { method: 'DELETE', headers: {}, query: upload, expects: [404] };
  await call(target, ask, AbortSignal.timeout(ABORT_MS)).then(
    (answer) => answer.drop(),
    () => {},
  );
}

async function checkSize(target: Door, size: number, signal: AbortSignal | undefined): Promise<void> {
  const answer = await call(target, { method: 'HEAD', headers: {} }, signal);
  answer.drop();
  const length = Number(answer.headers['content-length']);
  if (length !== size) throw odd(target, `it holds ${length} bytes of the ${size} that were sent`);
}

function odd(target: Door, what: string): ColweaveError {
  return new ColweaveError('remote/protocol', `${target.url.host} gives a wrong answer: ${what}`, {
    where: [target.uri],
  });
}
