// Owns a proxy before a real XRootD server that knows the frames of the protocol, and spoils answers to one kind of request.
import { connect, createServer, type Socket } from 'node:net';
import type { FaultPlan, FaultProxy } from './wire.ts';

/**
 * offset: a piece of a vector is said to be from elsewhere. short: an answer is shorter than what was asked for. other: it
 * is said to answer another request. wait, overloaded, loop: what the server says instead of data, or of an open file.
 */
export type FrameFault = 'offset' | 'short' | 'other' | 'wait' | 'overloaded' | 'loop';

const HELLO_BYTES = 20;
const REQUEST_BYTES = 24;
const ANSWER_BYTES = 8;
const OPEN = 3010;
const READS = [3013, 3025];
const READV = 3025;
const ERROR = 4003;
const REDIRECT = 4004;
const WAIT = 4005;
const OVERLOADED = 3024;

/** Frames that are whole, and what follows them. */
function split(bytes: Buffer, headBytes: number, lengthAt: number): { frames: Buffer[]; rest: Buffer } {
  const frames: Buffer[] = [];
  let at = 0;
  while (bytes.length - at >= headBytes) {
    const end = at + headBytes + bytes.readInt32BE(at + lengthAt);
    if (end > bytes.length) break;
    frames.push(bytes.subarray(at, end));
    at = end;
  }
  return { frames, rest: bytes.subarray(at) };
}

export function startFrames(targetPort: number, fault: FrameFault, plan: FaultPlan): Promise<FaultProxy> {
  let passed = 0;
  let fired = 0;
  let port = 0;
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(targetPort, 'localhost');
    for (const socket of [client, upstream]) {
      open.add(socket.setNoDelay(true));
      socket.once('close', () => open.delete(socket)).on('error', () => socket.destroy());
    }
    /** By stream id: the kind of the request. */
    const kinds = new Map<number, number>();
    let asked: Buffer = Buffer.alloc(0);
    let helloLeft = HELLO_BYTES;
    client.on('data', (bytes: Buffer) => {
      upstream.write(bytes);
      const own = bytes.subarray(Math.min(helloLeft, bytes.length));
      helloLeft -= bytes.length - own.length;
      const { frames, rest } = split(Buffer.concat([asked, own]), REQUEST_BYTES, 20);
      for (const frame of frames) kinds.set(frame.readUInt16BE(0), frame.readUInt16BE(2));
      asked = rest;
    });
    let answered: Buffer = Buffer.alloc(0);
    upstream.on('data', (bytes: Buffer) => {
      passed += bytes.length;
      const { frames, rest } = split(Buffer.concat([answered, bytes]), ANSWER_BYTES, 4);
      answered = rest;
      for (const frame of frames) {
        const kind = kinds.get(frame.readUInt16BE(0)) ?? 0;
        const isDue = fault === 'loop' ? kind === OPEN : fault === 'offset' ? kind === READV : READS.includes(kind);
        const late = fault === 'loop' || passed > plan.afterBytes;
        const now = isDue && late && (plan.forEver || fired === 0);
        if (now) fired++;
        client.write(now ? spoil(fault, frame, port) : frame);
      }
    });
    client.once('close', () => upstream.destroy());
    upstream.once('close', () => client.end());
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      port = (server.address() as { port: number }).port;
      const close = () =>
        new Promise<void>((done) => {
          server.close(() => done());
          for (const socket of open) socket.destroy();
        });
      resolve({ port, fired: () => fired, close });
    });
  });
}

function answer(frame: Buffer, status: number, body: Buffer): Buffer {
  const head = Buffer.from(frame.subarray(0, ANSWER_BYTES));
  head.writeUInt16BE(status, 2);
  head.writeInt32BE(body.length, 4);
  return Buffer.concat([head, body]);
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function spoil(fault: FrameFault, frame: Buffer, port: number): Buffer {
  const other = Buffer.from(frame);
  const body = frame.subarray(ANSWER_BYTES);
  switch (fault) {
    case 'offset': // handle, length, then the offset in 8 bytes
      other[ANSWER_BYTES + 15]! ^= 8;
      return other;
    case 'short':
      return answer(frame, frame.readUInt16BE(2), body.subarray(0, body.length >> 1));
    case 'other':
      other.writeUInt16BE(frame.readUInt16BE(0) ^ 0x4000, 0);
      return other;
    case 'wait':
      return answer(frame, WAIT, int(1));
    case 'overloaded':
      return answer(frame, ERROR, Buffer.concat([int(OVERLOADED), Buffer.from('overloaded\0')]));
    case 'loop':
      return answer(frame, REDIRECT, Buffer.concat([int(port), Buffer.from('localhost')]));
  }
}
