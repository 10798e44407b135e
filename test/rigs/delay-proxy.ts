// Owns a wire that is slow: a TCP proxy on loopback that hands every byte on after a fixed time, each way; it limits no rate.
//   node test/rigs/delay-proxy.ts TARGET_PORT MILLISECONDS_ROUND_TRIP    prints its port, runs until it is killed
import { spawn } from 'node:child_process';
import { connect, createServer, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';

export interface DelayProxy {
  readonly port: number;
  /** Bytes that came from the server so far; NaN when it runs apart. */
  received(): number;
  /** Bytes that went to the server so far; NaN when it runs apart. */
  sent(): number;
  /** Resets all connections; new ones are taken. Nothing where it runs apart. */
  cut(): void;
  close(): void;
}

/** `apart`: in a process of its own, for callers that wait for children. */
export function startDelayProxy(
  targetPort: number,
  roundTripMs: number,
  { apart = false }: { readonly apart?: boolean } = {},
): Promise<DelayProxy> {
  if (apart) return startApart(targetPort, roundTripMs);
  let received = 0;
  let sent = 0;
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(targetPort, '127.0.0.1');
    for (const socket of [client, upstream]) {
      open.add(socket.setNoDelay(true));
      socket.once('close', () => open.delete(socket)).once('error', () => socket.destroy());
    }
    const pass = (from: Socket, to: Socket) => {
      const later = (action: () => void) => setTimeout(action, roundTripMs / 2);
      from.on('data', (bytes) => {
        if (from === upstream) received += bytes.length;
        else sent += bytes.length;
        later(() => to.writable && to.write(bytes));
      });
      from.once('close', () => later(() => to.destroy()));
    };
    pass(client, upstream);
    pass(upstream, client);
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      resolve({
        port,
        received: () => received,
        sent: () => sent,
        cut: () => {
          for (const socket of open) socket.resetAndDestroy();
        },
        close: () => {
          server.close();
          for (const socket of open) socket.destroy();
        },
      });
    });
  });
}

function startApart(targetPort: number, roundTripMs: number): Promise<DelayProxy> {
  const words = ['--no-warnings', fileURLToPath(import.meta.url), `${targetPort}`, `${roundTripMs}`];
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  return new Promise((resolve, reject) => {
    child.once('error', reject).once('exit', () => reject(new Error('the delay proxy ended')));
    child.stdout.once('data', (text: Buffer) => {
      const unknown = () => Number.NaN;
      const close = () => child.kill();
      resolve({ port: Number(text), received: unknown, sent: unknown, cut: () => {}, close });
    });
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [target, milliseconds] = process.argv.slice(2).map(Number);
  const { port } = await startDelayProxy(target!, milliseconds!);
  process.stdout.write(`${port}\n`);
}
