// Owns a wire that breaks: a TCP proxy on loopback that hands bytes on until so many came from the server, then fails once or for ever.
import { connect, createServer, type Socket } from 'node:net';

/** cut: closed as if all had been said. drip: a byte at a time. flip: one bit is another (of use where TLS would notice). */
export type WireFault = 'reset' | 'cut' | 'stall' | 'drip' | 'flip';

export interface FaultProxy {
  readonly port: number;
  /** How often it failed. */
  fired(): number;
  close(): Promise<void>;
}

export interface FaultPlan {
  /** From the server, over all connections, before it fails. */
  readonly afterBytes: number;
  readonly forEver: boolean;
  /** Instead of a failure of the wire: called once, when so many bytes have come. */
  readonly meanwhile?: () => void;
}

const DRIP_MS = 50;

export function startWire(targetPort: number, fault: WireFault | undefined, plan: FaultPlan): Promise<FaultProxy> {
  let passed = 0;
  let fired = 0;
  const open = new Set<Socket>();
  const serve = (client: Socket) => {
    const upstream = connect(targetPort, 'localhost');
    for (const socket of [client, upstream]) {
      open.add(socket.setNoDelay(true));
      socket.once('close', () => open.delete(socket)).on('error', () => socket.destroy());
    }
    let broken = false;
    client.on('data', (bytes) => upstream.writable && upstream.write(bytes));
    client.once('close', () => upstream.destroy());
    upstream.on('data', (bytes) => {
      passed += bytes.length;
      if (broken) return;
      const now = passed > plan.afterBytes && (plan.forEver || fired === 0);
      if (!now) return void (client.writable && client.write(bytes));
      fired++;
      if (fault === undefined) {
        plan.meanwhile?.();
        client.write(bytes);
        return;
      }
      broken = fault !== 'flip';
      breakAt(fault, client, bytes);
    });
    upstream.once('close', () => !broken && client.end());
  };
  const server = createServer(serve);
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      const close = () =>
        new Promise<void>((done) => {
          server.close(() => done());
          for (const socket of open) socket.destroy();
        });
      resolve({ port, fired: () => fired, close });
    });
  });
}

function breakAt(fault: WireFault, client: Socket, bytes: Buffer): void {
  const half = bytes.length >> 1;
  if (fault === 'reset') client.write(bytes.subarray(0, half), () => client.resetAndDestroy());
  if (fault === 'cut') client.end(bytes.subarray(0, half));
  if (fault === 'stall') client.write(bytes.subarray(0, half));
  if (fault === 'flip') {
    const other = Buffer.from(bytes);
    other[half]! ^= 1;
    client.write(other);
  }
  if (fault !== 'drip') return;
  let at = 0;
  const timer = setInterval(() => {
    if (client.destroyed || at === bytes.length) clearInterval(timer);
    else client.write(bytes.subarray(at, ++at));
  }, DRIP_MS);
}
