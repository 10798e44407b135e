// A server of one folder that reads single and multiple ranges, counts what it sends, and can be slow. Truth for what travelled.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, normalize } from 'node:path';

export interface CountingServer {
  readonly url: string;
  /** Bytes of files sent, and requests, since the last call. */
  taken(): { readonly bytes: number; readonly requests: number };
  close(): Promise<void>;
}

export async function startCountingServer(folder: string, delayMs = 0): Promise<CountingServer> {
  let bytes = 0;
  let requests = 0;
  const server = createServer((request, response) => {
    requests++;
    setTimeout(() => {
      bytes += answer(folder, request, response);
    }, delayMs);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    taken() {
      const seen = { bytes, requests };
      bytes = 0;
      requests = 0;
      return seen;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(folder: string, request: IncomingMessage, response: ServerResponse): number {
  let descriptor: number;
  try {
    descriptor = openSync(join(folder, normalize(decodeURIComponent(request.url ?? '/'))), 'r');
  } catch {
    response.writeHead(404).end();
    return 0;
  }
  try {
    const { size, mtime } = fstatSync(descriptor);
    const shared = {
      'Accept-Ranges': 'bytes',
      'Last-Modified': mtime.toUTCString(),
      ETag: `"${size}-${mtime.getTime()}"`,
    };
    const ranges = rangesOf(request.headers.range, size);
    if (request.method === 'HEAD') {
      response.writeHead(200, { ...shared, 'Content-Length': size }).end();
      return 0;
    }
    const parts = (ranges ?? [[0, size - 1] as const]).map(([first, last]) => {
      const part = Buffer.alloc(last - first + 1);
      readSync(descriptor, part, 0, part.length, first);
      return { first, last, part };
    });
    const [only] = parts;
    if (ranges === undefined || parts.length === 1) {
      const partial = ranges === undefined ? {} : { 'Content-Range': `bytes ${only!.first}-${only!.last}/${size}` };
      response.writeHead(ranges === undefined ? 200 : 206, {
        ...shared,
        ...partial,
        'Content-Length': only!.part.length,
      });
      response.end(only!.part);
    } else {
      const body = parts.flatMap(({ first, last, part }) => [
        Buffer.from(
          `\r\n--BORDER\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes ${first}-${last}/${size}\r\n\r\n`,
        ),
        part,
      ]);
      body.push(Buffer.from('\r\n--BORDER--\r\n'));
      const whole = Buffer.concat(body);
      const type = 'multipart/byteranges; boundary=BORDER';
      response.writeHead(206, { ...shared, 'Content-Type': type, 'Content-Length': whole.length }).end(whole);
    }
    return parts.reduce((sum, { part }) => sum + part.length, 0);
  } finally {
    closeSync(descriptor);
  }
}

function rangesOf(header: string | undefined, size: number): (readonly [number, number])[] | undefined {
  const list = /^bytes=([-0-9, ]+)$/.exec(header ?? '')?.[1];
  return list?.split(',').map((word) => {
    const [first = '', last = ''] = word.trim().split('-');
    if (first === '') return [Math.max(0, size - Number(last)), size - 1] as const;
    return [Number(first), last === '' ? size - 1 : Math.min(size - 1, Number(last))] as const;
  });
}
