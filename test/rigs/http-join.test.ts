// Reading http(s) from real XRootD servers: joins are byte-identical with those of local files, values are what uproot reads of
// the same URLs, and who may not read ends with status 4 and the reason.
import { chmodSync, copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStore } from '../../src/bytes/open.ts';
import { openSource } from '../../src/source/registry.ts';
import { digests } from '../unit/column-digests.ts';
import { describeRig, FIXTURES, type Ran, rigPython, runCommand, TOP } from './harness.ts';
import { type Flavour, missingForXrootd, serveFile, startXrootd, stopXrootd, type XrootdRig } from './xrootd.ts';

const FILES = [
  ...['nano_1.root', 'nano_2.root', 'friend_reordered.root'],
  ...['rntuple_nano_1.root', 'friend_i64.parquet', 'friend.arrows', 'many_baskets.root'],
];
const COLWEAVE = join(TOP, 'dist', 'colweave.js');

function colweave(words: readonly string[], env: Readonly<Record<string, string>> = {}): Ran {
  return runCommand(process.execPath, ['--no-warnings', COLWEAVE, ...words], env);
}

function useRig(flavour: Flavour): () => XrootdRig {
  let rig: XrootdRig;
  beforeAll(async () => {
    rig = await startXrootd(flavour);
    for (const name of FILES) serveFile(rig, join(FIXTURES, name), name);
  });
  afterAll(() => stopXrootd(rig.dir));
  return () => rig;
}

/** Joins files of a server and the same files here, on one thread and on two; then verifies against the server's. */
function expectSameJoin({ dir, urls }: XrootdRig, env: Readonly<Record<string, string>>): void {
  const join_ = (base: string, output: string, ...more: string[]) =>
    colweave(
      [
        ...['join', `${base}nano_1.root`, `${base}nano_2.root`, '--with', 'jes:', `${base}friend_reordered.root`],
        ...['-f', ...more, '-o', join(dir, output)],
      ],
      env,
    );
  expect(join_(`${FIXTURES}/`, 'local.parquet').status).toBe(0);
  for (const jobs of ['1', '2']) {
    const remote = join_(`${urls.http}/store/`, 'remote.parquet', '-j', jobs, '--redo');
    expect([remote.status, remote.stderr]).toEqual([0, '']);
    expect(readFileSync(join(dir, 'remote.parquet')).equals(readFileSync(join(dir, 'local.parquet')))).toBe(true);
  }
  const again = join_(`${urls.http}/store/`, 'remote.parquet');
  expect(again.stdout).toContain('up to date');
  const sources = FILES.slice(0, 3).map((name) => `${urls.http}/store/${name}`);
  const verified = colweave(['verify', join(dir, 'remote.parquet'), '--against', ...sources], env);
  expect([verified.status, verified.stderr]).toEqual([0, '']);
}

// that of interop: it can read http
const python = rigPython('');

for (const flavour of ['anonymous', 'redirector'] as const) {
  describeRig(`reading http from xrootd: ${flavour}`, missingForXrootd(), () => {
    const rig = useRig(flavour);

    it('joins as it joins local files, byte for byte', () => expectSameJoin(rig(), {}));

    it('reads every format', async () => {
      for (const name of FILES.slice(3)) {
        const remote = await openSource(`${rig().urls.http.replace('http:', 'dav:')}/store/${name}`, {});
        const local = await openSource(join(FIXTURES, name), {});
        expect(await digests(remote)).toEqual(await digests(local));
        await Promise.all([remote.close(), local.close()]);
      }
    });

    it('says what is not there, and what is given twice', () => {
      const url = `${rig().urls.http}/store/none.root`;
      const absent = colweave(['schema', url]);
      expect([absent.status, absent.stderr]).toEqual([3, expect.stringContaining('source/not-found: no such file on')]);
      const twice = [
        `${rig().urls.http}/store/nano_1.root`,
        `${rig().urls.http.replace('http:', 'DAV:')}/store/nano_1.root`,
      ];
      const double = colweave(['join', ...twice, '-o', join(rig().dir, 'twice.parquet')]);
      expect([double.status, double.stderr]).toEqual([3, expect.stringContaining('source/duplicate-file')]);
    });

    it('gives the sum of a file that the server keeps', async () => {
      const store = await openStore(`${rig().urls.http}/store/nano_1.root`);
      // the last four bytes of a zlib stream are the adler32 of what is in it
      const hex = deflateSync(readFileSync(join(FIXTURES, 'nano_1.root')))
        .subarray(-4)
        .toString('hex');
      expect(await store.checksum!()).toEqual({ algorithm: 'adler32', hex });
      await store.close();
    });

    it('tells what travelled', () => {
      const { stdout } = colweave(['schema', '--json', '--stats', `${rig().urls.http}/store/nano_1.root`]);
      const stats = JSON.parse(stdout.trim().split('\n').at(-2)!) as { type: string; servers: { requests: number }[] };
      expect(stats.type).toBe('stats');
      expect(stats.servers[0]!.requests).toBeGreaterThan(0);
    });
  });
}

describeRig('what uproot reads of the same http URLs', missingForXrootd() ?? python.missing, () => {
  const rig = useRig('anonymous');

  it('has the same values', async () => {
    const url = `${rig().urls.http}/store/nano_1.root`;
    const { stdout, status } = runCommand(python.path, [join(TOP, 'test/rigs/read_http.py'), url]);
    expect(status).toBe(0);
    const theirs = JSON.parse(stdout) as Record<string, string>;
    expect(Object.keys(theirs).length).toBeGreaterThan(20);
    const source = await openSource(url, {});
    expect(await digests(source)).toMatchObject(theirs);
    await source.close();
  });
});

describeRig('credentials over https', missingForXrootd(), () => {
  const rig = useRig('secure');
  const env = (more: Record<string, string>) => ({ X509_CERT_DIR: rig().credentials!.certDir, ...more });
  const schema = (more: Record<string, string>) =>
    colweave(['schema', `${rig().urls.http}/store/nano_1.root`], env(more));

  it('joins with a token', () => expectSameJoin(rig(), env({ BEARER_TOKEN_FILE: rig().credentials!.token })));
  it('joins with a proxy', () => expectSameJoin(rig(), env({ X509_USER_PROXY: rig().credentials!.proxy })));

  describe('who is refused', () => {
    const refused: readonly [string, (rig: XrootdRig) => Record<string, string>, RegExp][] = [
      ['nothing', () => ({}), /credentials\/absent: .* answers 403, and no token or proxy was found/],
      [
        'no authority',
        () => ({ X509_CERT_DIR: '/nowhere' }),
        /credentials\/no-ca: the certificate of .* cannot be trusted[\s\S]*\/nowhere/,
      ],
      [
        'a token past its time',
        ({ credentials }) => ({ BEARER_TOKEN_FILE: credentials!.tokenExpired }),
        /credentials\/expired: the token in \$BEARER_TOKEN_FILE is past its time: .*token-expired/,
      ],
      [
        'a forged token',
        ({ credentials }) => ({ BEARER_TOKEN_FILE: credentials!.tokenForged }),
        /credentials\/refused: .* answers 403; it was given the token in .*token-forged/,
      ],
      [
        'a token of another path',
        ({ credentials }) => ({ BEARER_TOKEN_FILE: credentials!.tokenElsewhere }),
        /credentials\/refused: .* answers 403; it was given the token in .*token-elsewhere/,
      ],
      [
        'no file of a token',
        () => ({ BEARER_TOKEN_FILE: '/nowhere/token' }),
        /credentials\/bad-file: the token in \$BEARER_TOKEN_FILE does not exist: \/nowhere\/token|credentials\/bad-file: .* in \/nowhere\/token/,
      ],
      [
        'a proxy of no VO',
        ({ credentials }) => ({ X509_USER_PROXY: credentials!.proxyNoVo }),
        /credentials\/refused: .* answers 403; it was given the proxy .*/,
      ],
      [
        'a proxy past its time',
        ({ credentials }) => ({ X509_USER_PROXY: credentials!.proxyExpired }),
        /credentials\/expired: the proxy in \$X509_USER_PROXY is past its time: .*x509up-expired/,
      ],
    ];
    it.each(refused)('%s ends with status 4 and the reason', (_, credentials, reason) => {
      const { status, stderr } = schema(credentials(rig()));
      expect(stderr).toMatch(reason);
      expect(status).toBe(4);
      expect(stderr).not.toMatch(/eyJ/); // no token is ever shown
    });

    it('a proxy that others may read is named with its mode', () => {
      const path = join(rig().dir, 'open-proxy');
      copyFileSync(rig().credentials!.proxy, path);
      chmodSync(path, 0o644);
      const { status, stderr } = schema({ X509_USER_PROXY: path });
      expect([status, stderr]).toEqual([
        4,
        expect.stringMatching(/credentials\/bad-file: .* its mode is 0644, and must be 0600/),
      ]);
    });
  });
});
