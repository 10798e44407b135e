// Whole joins from real XRootD servers over http, https, root:// and root:// with TLS while the way to them fails: once, and the
// output is that of local files, byte for byte; for ever, and it ends in time with a code, status 75 and no file; never wrong data.
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FrameFault, startFrames } from './faults/frames.ts';
import { type MessageFault, startMessages, type Upstream } from './faults/messages.ts';
import { type FaultPlan, type FaultProxy, startWire, type WireFault } from './faults/wire.ts';
import { describeRig, rigPython, runLater, TOP } from './harness.ts';
import { missingForXrootd, serveFile, startXrootd, stopXrootd, type XrootdRig } from './xrootd.ts';

const EVENTS = '40000';
/** Metadata and keys are through, payload is on the way. */
const AFTER_BYTES = 2_000_000;
/** $COLWEAVE_REMOTE_TIMEOUT: of one request with all of its tries. */
const TIMEOUT_S = 8;
/** One request that takes all of its time, and start, keys and clean-up on a busy machine. */
const IN_TIME_MS = 40_000;

/** Servers tell times in whole seconds. */
const LONG_AGO = new Date('2020-01-01');

const COLWEAVE = join(TOP, 'dist', 'colweave.js');
const python = rigPython();
const missing = missingForXrootd() ?? python.missing;

type Scheme = 'http' | 'https' | 'root' | 'root, TLS';
interface Case {
  readonly fault: string;
  readonly on: readonly Scheme[];
  readonly start: (door: Door, plan: FaultPlan) => Promise<FaultProxy>;
  /** What it ends with when it never stops. */
  readonly code: RegExp;
  /** What it may end with even when it happens once: where the bytes themselves are wrong, no other try is made. */
  readonly onceCode?: RegExp;
}

interface Door {
  readonly scheme: Scheme;
  readonly port: number;
  readonly upstream: Upstream;
}

const wire = (fault: WireFault) => (door: Door, plan: FaultPlan) => startWire(door.port, fault, plan);
const message = (fault: MessageFault) => (door: Door, plan: FaultPlan) => startMessages(door.upstream, fault, plan);
const frame = (fault: FrameFault) => (door: Door, plan: FaultPlan) => startFrames(door.port, fault, plan);

const ALL: readonly Scheme[] = ['http', 'https', 'root', 'root, TLS'];
const WEB: readonly Scheme[] = ['http', 'https'];
const ROOT: readonly Scheme[] = ['root'];
const SECURE: readonly Scheme[] = ['https', 'root, TLS'];
const LOST = /^remote\/(unreachable|timeout)$/;
/** An answer that cannot be: on a busy machine time may be up before it was given often enough. */
const WRONG = /^remote\/(protocol|timeout)$/;
const DAMAGED = /^(source\/damaged|key\/.*|join\/.*|remote\/.*)$/;

const CASES: readonly Case[] = [
  { fault: 'reset in a basket', on: ALL, start: wire('reset'), code: LOST },
  { fault: 'body cut short, connection closed', on: ALL, start: wire('cut'), code: LOST },
  { fault: 'stall', on: ALL, start: wire('stall'), code: LOST },
  { fault: 'slow drip', on: ALL, start: wire('drip'), code: LOST },
  { fault: 'a bit flipped under TLS', on: SECURE, start: wire('flip'), code: /^remote\// },
  { fault: '503', on: WEB, start: message('busy'), code: /^remote\/(busy|timeout)$/ },
  { fault: 'redirect loop', on: WEB, start: message('loop'), code: WRONG },
  { fault: 'another range, and it says so', on: WEB, start: message('elsewhere'), code: WRONG },
  { fault: 'another range, said to be right', on: WEB, start: message('shifted'), code: DAMAGED, onceCode: DAMAGED },
  { fault: 'a shorter range as a whole answer', on: WEB, start: message('short'), code: WRONG },
  { fault: 'a body cut behind a right head', on: WEB, start: message('cut'), code: LOST },
  { fault: 'the whole file for a range', on: WEB, start: message('whole'), code: WRONG },
  { fault: 'a vector from elsewhere', on: ROOT, start: frame('offset'), code: WRONG },
  { fault: 'an answer that is short', on: ROOT, start: frame('short'), code: WRONG },
  { fault: 'an answer to another request', on: ROOT, start: frame('other'), code: WRONG },
  { fault: 'wait, in mid-file', on: ROOT, start: frame('wait'), code: /^remote\/(busy|timeout)$/ },
  { fault: 'overloaded, in mid-file', on: ROOT, start: frame('overloaded'), code: /^remote\/(busy|timeout)$/ },
  { fault: 'redirect loop', on: ROOT, start: frame('loop'), code: WRONG },
];

describeRig('joins while the way to the server fails', missing, () => {
  let folder = '';
  let expected: Buffer;
  let expectedOfArrow: Buffer;
  const rigs = new Map<Scheme | 'copy', XrootdRig>();

  const joinArrow = (base: string, output: string) => {
    const words = ['join', `${base}nano.arrow`, '-c', 'Jet_pt', '-o', output];
    return runLater(process.execPath, ['--no-warnings', COLWEAVE, ...words]);
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'colweave-remote-faults-'));
    for (const [name, seed] of [
      ['nano.root', '1'],
      ['other.root', '2'],
      ['friend.root', '3'],
    ]) {
      const made = spawnSync(python.path, [join(TOP, 'test/rigs/make_cached.py'), join(folder, name!), EVENTS, seed!]);
      expect(made.status, String(made.stderr)).toBe(0);
    }
    const [anonymous, secure] = [await startXrootd('anonymous'), await startXrootd('secure')];
    rigs.set('copy', await startXrootd('anonymous'));
    for (const scheme of ALL) rigs.set(scheme, SECURE.includes(scheme) ? secure : anonymous);
    for (const rig of [anonymous, secure]) {
      for (const name of ['nano.root', 'friend.root']) serveFile(rig, join(folder, name), name);
    }
    const local = await joinFrom(`${folder}/`, 'local');
    expect([local.status, local.error]).toEqual([0, undefined]);
    expected = local.bytes!;
    const arrow = join(folder, 'nano.arrow');
    const words = ['join', join(folder, 'nano.root'), '-c', 'Jet_*', '--writer', 'arrow', '-o', arrow];
    expect((await runLater(process.execPath, ['--no-warnings', COLWEAVE, ...words])).status).toBe(0);
    serveFile(anonymous, arrow, 'nano.arrow');
    const output = join(folder, 'arrow.parquet');
    expect((await joinArrow(`${folder}/`, output)).status).toBe(0);
    expectedOfArrow = readFileSync(output);
  });
  afterAll(async () => {
    for (const rig of new Set(rigs.values())) await stopXrootd(rig.dir);
    rmSync(folder, { recursive: true, force: true });
  });

  interface Joined {
    readonly status: number | null;
    readonly bytes?: Buffer;
    /** As the last line of --json says it. */
    readonly error?: string;
    readonly ms: number;
    /** What is left beside the output. */
    readonly left: readonly string[];
    readonly stderr: string;
  }

  async function joinFrom(base: string, own: string, rig?: XrootdRig, others: readonly string[] = []): Promise<Joined> {
    const place = join(folder, own);
    mkdirSync(place);
    const output = join(place, 'joined.parquet');
    const words = ['--no-warnings', COLWEAVE, 'join', `${base}nano.root`, ...others];
    const more = ['--with', 'jes:', `${base}friend.root`, '-c', 'Jet_pt,Jet_phi,GenPart_eta,MET_*', '-j', '2'];
    const start = performance.now();
    const { status, stderr } = await runLater(process.execPath, [...words, ...more, '-o', output], {
      COLWEAVE_REMOTE_TIMEOUT: String(TIMEOUT_S),
      ...tokenOf(rig),
    });
    const ms = performance.now() - start;
    const error = /^colweave join: (\S+): /m.exec(stderr)?.[1];
    const files = readdirSync(place);
    const bytes = files.includes('joined.parquet') ? { bytes: readFileSync(output) } : {};
    return {
      status,
      ms,
      stderr,
      left: files.filter((name) => name !== 'joined.parquet'),
      ...bytes,
      ...(error === undefined ? {} : { error }),
    };
  }

  function tokenOf(rig: XrootdRig | undefined): Record<string, string> {
    if (rig?.credentials === undefined) return {};
    return { X509_CERT_DIR: rig.credentials.certDir, BEARER_TOKEN_FILE: rig.credentials.token };
  }

  function doorTo(scheme: Scheme): Door & { readonly rig: XrootdRig } {
    const rig = rigs.get(scheme)!;
    const { credentials } = rig;
    const tls = credentials && {
      cert: readFileSync(credentials.host.cert),
      key: readFileSync(credentials.host.key),
      ca: readFileSync(credentials.caFile),
    };
    const upstream = { url: rig.urls.http, ...(tls === undefined ? {} : { tls }) };
    return { scheme, rig, port: Number(new URL(rig.urls.http).port), upstream };
  }

  const baseOf = (scheme: Scheme, port: number, below = '') =>
    WEB.includes(scheme) ? `${scheme}://localhost:${port}/store/${below}` : `root://localhost:${port}//store/${below}`;

  const rows = CASES.flatMap((each) =>
    each.on.map((scheme) => ({ ...each, scheme, name: `${each.fault} (${scheme})` })),
  );
  let serial = 0;
  async function joinThrough({ scheme, start }: (typeof rows)[number], forEver: boolean): Promise<Joined> {
    const door = doorTo(scheme);
    const proxy = await start(door, { afterBytes: AFTER_BYTES, forEver });
    const joined = await joinFrom(baseOf(scheme, proxy.port), `run${serial++}`, door.rig);
    await proxy.close();
    expect(proxy.fired()).toBeGreaterThan(0);
    expect(joined.ms).toBeLessThan(IN_TIME_MS);
    expect(joined.left).toEqual([]);
    return joined;
  }

  describe.concurrent('once', () => {
    it.each(rows)('$name', async (row) => {
      const { status, bytes, error, stderr } = await joinThrough(row, false);
      if (row.onceCode !== undefined && status !== 0) {
        expect(error, stderr).toMatch(row.onceCode);
        expect(bytes).toBeUndefined();
      } else {
        expect([status, error], stderr).toEqual([0, undefined]);
        expect(bytes!.equals(expected)).toBe(true);
      }
    });
  });

  /** The server keeps an open file that loses its name as it is; over http each request opens it anew. */
  describe.concurrent('a file that is another in mid-read', () => {
    const ways: readonly [string, (from: string, to: string) => void][] = [
      ['another takes its place', renameSync],
      ['it is written over', copyFileSync],
    ];
    it.each(ways.flatMap(([way, replace]) => ALL.map((scheme) => ({ way, replace, scheme }))))(
      '$way ($scheme)',
      async ({ way, replace, scheme }) => {
        const door = doorTo(scheme);
        const below = `changed${serial++}`;
        const place = join(door.rig.store, below);
        for (const name of ['nano.root', 'friend.root']) serveFile(door.rig, join(folder, name), `${below}/${name}`);
        serveFile(door.rig, join(folder, 'other.root'), `${below}/other.root`);
        utimesSync(join(place, 'nano.root'), LONG_AGO, LONG_AGO);
        const meanwhile = () => replace(join(place, 'other.root'), join(place, 'nano.root'));
        const proxy = await startWire(door.port, undefined, { afterBytes: AFTER_BYTES, forEver: false, meanwhile });
        const joined = await joinFrom(baseOf(scheme, proxy.port, `${below}/`), below, door.rig);
        await proxy.close();
        expect(proxy.fired()).toBe(1);
        expect(joined.left).toEqual([]);
        console.info(`${way} (${scheme}): ${joined.error ?? 'the file that was opened'}`);
        if (joined.status === 0) expect(joined.bytes!.equals(expected)).toBe(true);
        else {
          expect([joined.status, joined.error], joined.stderr).toEqual([75, 'remote/changed']);
          expect(joined.bytes).toBeUndefined();
        }
        const after = await joinFrom(baseOf(scheme, door.port, `${below}/`), `${below}-after`, door.rig);
        expect(after.status).toBe(0);
        expect(after.bytes!.equals(expected)).toBe(false);
      },
    );
  });

  /** The first server's way fails for ever; `name` is what the other has under the name. */
  async function joinWithCopy(scheme: 'http' | 'root', name: string): Promise<Joined> {
    const door = doorTo(scheme);
    const other = rigs.get('copy')!;
    const below = `copy${serial++}`;
    for (const [from, to] of [
      [name, 'nano.root'],
      ['friend.root', 'friend.root'],
    ] as const) {
      serveFile(door.rig, join(folder, to), `${below}/${to}`);
      serveFile(other, join(folder, from), `${below}/${to}`);
    }
    const proxy = await startWire(door.port, 'reset', { afterBytes: AFTER_BYTES, forEver: true });
    const base = scheme === 'http' ? 'http://localhost' : 'root://localhost';
    const servers = [proxy.port, new URL(other.urls.http).port].map((port) => `${base}:${port}`);
    const joined = await joinFrom(`/store/${below}/`, below, undefined, ['--redirector', servers.join(',')]);
    await proxy.close();
    expect(proxy.fired()).toBeGreaterThan(0);
    expect(joined.left).toEqual([]);
    return joined;
  }

  describe.concurrent.each(['http', 'root'] as const)('a server that dies in mid-read (%s)', (scheme) => {
    it('another that has the same file goes on', async () => {
      const { status, bytes, error, stderr } = await joinWithCopy(scheme, 'nano.root');
      expect([status, error], stderr).toEqual([0, undefined]);
      expect(bytes!.equals(expected)).toBe(true);
    });

    it('another that has something else as long under that name is not read', async () => {
      const { status, bytes, error, stderr } = await joinWithCopy(scheme, 'other.root');
      expect([status, error], stderr).toEqual([75, expect.stringMatching(LOST)]);
      expect(stderr).toContain('remote/changed: the file is not the one that was opened before');
      expect(bytes).toBeUndefined();
    });
  });

  /** Arrow files are read whole; the server keeps their adler32. */
  describe.concurrent('whole copies over http', () => {
    const copies: readonly (readonly [string, MessageFault, boolean, boolean])[] = [
      ['a bit flipped once: read again', 'flip', false, true],
      ['a bit flipped for ever: refused', 'flip', true, false],
      ['a wrong sum once: read again', 'digest', false, true],
      ['a wrong sum for ever: refused', 'digest', true, false],
    ];
    it.each(copies)('%s', async (_, fault, forEver, isRight) => {
      const { upstream } = doorTo('http');
      const proxy = await startMessages(upstream, fault, { afterBytes: 0, forEver });
      const output = join(folder, `whole${serial++}.parquet`);
      const { status, stderr } = await joinArrow(`http://localhost:${proxy.port}/store/`, output);
      await proxy.close();
      expect(proxy.fired()).toBeGreaterThan(0);
      if (isRight) {
        expect([status, stderr]).toEqual([0, '']);
        expect(readFileSync(output).equals(expectedOfArrow)).toBe(true);
      } else {
        expect([status, stderr]).toEqual([75, expect.stringMatching(/remote\/protocol: what comes is not what/)]);
        expect(existsSync(output)).toBe(false);
      }
    });
  });

  describe.concurrent('for ever', () => {
    it.each(rows)('$name', async (row) => {
      const { status, bytes, error, stderr } = await joinThrough(row, true);
      console.info(`${row.name}: ${error}`);
      expect(error, stderr).toMatch(row.code);
      expect(status).toBe(error!.startsWith('remote/') ? 75 : 3);
      expect(bytes).toBeUndefined();
    });
  });
});
