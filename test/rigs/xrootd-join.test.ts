// Reading from real XRootD servers: joins are byte-identical with those of local files, bytes and values are what the C++
// client and uproot read of the same URLs, and who may not read ends with status 4 and the reason.
import { createHash, randomFillSync } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tallyNow } from '../../src/bytes/counted.ts';
import { openStore } from '../../src/bytes/open.ts';
import { openXrootdStore } from '../../src/bytes/xrootd.ts';
import { openSource } from '../../src/source/registry.ts';
import { digests } from '../unit/column-digests.ts';
import { startDelayProxy } from './delay-proxy.ts';
import { describeRig, FIXTURES, type Ran, rigPython, runCommand, TOP } from './harness.ts';
import { type Flavour, missingForXrootd, serveFile, startXrootd, stopXrootd, type XrootdRig } from './xrootd.ts';

const FILES = ['nano_1.root', 'nano_2.root', 'friend_reordered.root', 'rntuple_nano_1.root', 'friend_i64.parquet'];
const COLWEAVE = join(TOP, 'dist', 'colweave.js');

function colweave(words: readonly string[], env: Readonly<Record<string, string>>): Ran {
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

/** Joins files of a server and the same files here; the environment holds the credentials. */
function expectSameJoin({ dir, urls }: XrootdRig, env: Readonly<Record<string, string>>): void {
  const join_ = (base: string, output: string) =>
    colweave(
      [
        ...['join', `${base}nano_1.root`, `${base}nano_2.root`, '--with', 'jes:', `${base}friend_reordered.root`],
        ...['-f', '-o', join(dir, output)],
      ],
      env,
    );
  const remote = join_(`${urls.root}/store/`, 'remote.parquet');
  expect(remote.stderr).toBe('');
  expect(remote.status).toBe(0);
  expect(join_(`${FIXTURES}/`, 'local.parquet').status).toBe(0);
  expect(readFileSync(join(dir, 'remote.parquet')).equals(readFileSync(join(dir, 'local.parquet')))).toBe(true);
  const sources = FILES.slice(0, 3).map((name) => `${urls.root}/store/${name}`);
  const verified = colweave(['verify', join(dir, 'remote.parquet'), '--against', ...sources], env);
  expect(verified.stderr).toBe('');
  expect(verified.status).toBe(0);
}

const python = rigPython('xrootd');

for (const flavour of ['anonymous', 'redirector'] as const) {
  describeRig(`reading from xrootd: ${flavour}`, missingForXrootd(), () => {
    const rig = useRig(flavour);

    it('joins as it joins local files, byte for byte', () => expectSameJoin(rig(), {}));

    it('reads RNTuple and Parquet', async () => {
      const urls = ['rntuple_nano_1.root', 'friend_i64.parquet'].map((name) => `${rig().urls.root}/store/${name}`);
      for (const [i, url] of urls.entries()) {
        const remote = await openSource(url, {});
        const local = await openSource(join(FIXTURES, FILES[3 + i]!), {});
        expect(await digests(remote)).toEqual(await digests(local));
        await Promise.all([remote.close(), local.close()]);
      }
    });

    it('writes to the server: the same bytes, replaced with -f, and verified there', () => {
      const url = `${rig().urls.root}/store/user/me/joined.parquet`;
      const run = (name: string, output: string, more: readonly string[] = []) =>
        colweave(['join', join(FIXTURES, name), '--with', 'jes:', join(FIXTURES, FILES[2]!), ...more, '-o', output], {
          _CONDOR_SCRATCH_DIR: dirname(rig().store),
        });
      const there = () => readFileSync(join(rig().store, 'user/me/joined.parquet'));
      const here = join(rig().dir, 'joined.parquet');
      for (const [name, more] of [
        ['nano_1.root', []],
        ['nano_2.root', ['-f']],
      ] as const) {
        const { status, stderr } = run(name, url, more);
        expect([status, stderr]).toEqual([0, '']);
        expect(run(name, here, ['-f']).status).toBe(0);
        expect(there().equals(readFileSync(here))).toBe(true);
      }
      const again = run('nano_2.root', url);
      expect([again.status, again.stdout]).toEqual([0, expect.stringContaining('up to date')]);
      const other = run('nano_1.root', url);
      expect([other.status, other.stderr]).toEqual([5, expect.stringContaining('output/exists')]);
      expect(colweave(['verify', url], {}).stdout).toContain('verified');
      expect(readdirSync(dirname(rig().store))).toEqual(['store']);
    });

    it('says what is not there', () => {
      const { status, stderr } = colweave(['schema', `${rig().urls.root}/store/none.root`], {});
      expect([status, stderr]).toEqual([3, expect.stringContaining('source/not-found: the server has no such file')]);
    });
  });
}

describeRig('what others read of the same URLs', missingForXrootd() ?? python.missing, () => {
  const rig = useRig('anonymous');

  it('the C++ client the same bytes, uproot the same values', async () => {
    const names = FILES.slice(0, 2);
    const urls = names.map((name) => `${rig().urls.root}/store/${name}`);
    const { stdout, stderr, status } = runCommand(python.path, [join(TOP, 'test/rigs/read_root.py'), ...urls]);
    expect([status, stderr]).toEqual([0, expect.anything()]);
    const theirs = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { sha256: string; jets: string });
    expect(theirs).toHaveLength(urls.length);
    for (const [i, url] of urls.entries()) {
      const store = await openStore(url);
      const [bytes] = await store.read([{ offset: 0, length: store.size }]);
      expect(createHash('sha256').update(bytes!).digest('hex')).toBe(theirs[i]!.sha256);
      expect(await store.checksum!()).toEqual({ algorithm: 'adler32', hex: expect.stringMatching(/^[0-9a-f]{8}$/) });
      await store.close();
      const source = await openSource(url, {});
      expect((await digests(source)).Jet_pt).toBe(theirs[i]!.jets);
      await source.close();
    }
  });
});

describeRig('a connection to xrootd that is reset', missingForXrootd(), () => {
  const rig = useRig('anonymous');

  it('five times in mid-read: every byte right, and the reads made again are counted', async () => {
    const path = join(rig().dir, 'big.bin');
    const bytes = randomFillSync(Buffer.alloc(24_000_000));
    writeFileSync(path, bytes);
    serveFile(rig(), path, 'big.bin');
    const proxy = await startDelayProxy(Number(new URL(rig().urls.http).port), 4);
    const store = await openXrootdStore(`root://localhost:${proxy.port}//store/big.bin`, {});
    const cuts = [2, 9, 20, 26, 33].map((megabytes) => megabytes * 1e6);
    const cutting = setInterval(() => {
      if (proxy.received() > (cuts[0] ?? Number.POSITIVE_INFINITY)) {
        cuts.shift();
        proxy.cut();
      }
    }, 1);
    const short = Array.from({ length: 700 }, (_, i) => ({ offset: i * 34_000, length: 3000 }));
    for (const ranges of [[{ offset: 0, length: store.size }], short, [{ offset: 5_000_000, length: 9_000_000 }]]) {
      const arrays = await store.read(ranges);
      const wrong = ranges.filter(
        ({ offset, length }, i) => !bytes.subarray(offset, offset + length).equals(arrays[i]!),
      );
      expect(wrong).toEqual([]);
    }
    clearInterval(cutting);
    await store.close();
    proxy.close();
    const [, { retries }] = tallyNow().find(([name]) => name.endsWith(`:${proxy.port}`))!;
    expect(cuts).toEqual([]);
    expect(retries).toBeGreaterThanOrEqual(5);
  });
});

describeRig('credentials at xrootd', missingForXrootd(), () => {
  describe('a door that takes tokens and proxies', () => {
    const rig = useRig('secure');
    const env = (more: Record<string, string>) => ({ X509_CERT_DIR: rig().credentials!.certDir, ...more });

    it('joins with a token, in TLS', () => expectSameJoin(rig(), env({ BEARER_TOKEN_FILE: rig().credentials!.token })));

    it('joins with a proxy, by copies of the official client that do not stay', () => {
      const scratch = dirname(rig().store);
      const { proxy } = rig().credentials!;
      expectSameJoin(rig(), env({ X509_USER_PROXY: proxy, _CONDOR_SCRATCH_DIR: scratch }));
      expect(readdirSync(scratch)).toEqual(['store']);
    });

    it('takes the proxy where the token is refused', () => {
      const { tokenForged, tokenElsewhere, proxy } = rig().credentials!;
      for (const token of [tokenForged, tokenElsewhere]) {
        const url = `${rig().urls.root}/store/nano_1.root`;
        const { status, stderr } = colweave(['schema', url], env({ BEARER_TOKEN_FILE: token, X509_USER_PROXY: proxy }));
        expect([status, stderr]).toEqual([0, '']);
      }
    });

    const refused: readonly [string, (rig: XrootdRig) => Record<string, string>, RegExp][] = [
      ['nothing', () => ({}), /credentials\/absent: .*an X\.509 proxy or a token, and none was found/],
      ['no authority', () => ({ X509_CERT_DIR: '/nowhere' }), /credentials\/no-ca: .* not in \/nowhere/],
      [
        'a token past its time',
        ({ credentials }) => ({ BEARER_TOKEN_FILE: credentials!.tokenExpired }),
        /credentials\/expired: the token in \$BEARER_TOKEN_FILE is past its time: .*token-expired/,
      ],
      [
        'a forged token',
        ({ credentials }) => ({ BEARER_TOKEN_FILE: credentials!.tokenForged }),
        /credentials\/refused: the server refuses the token: Invalid signature/,
      ],
      [
        'a token of another path',
        ({ credentials }) => ({ BEARER_TOKEN_FILE: credentials!.tokenElsewhere }),
        /credentials\/refused: .*permission denied.*\n.*it was given the token in .*token-elsewhere/,
      ],
      [
        'no file of a token',
        () => ({ BEARER_TOKEN_FILE: '/nowhere/token' }),
        /credentials\/bad-file: the token in \$BEARER_TOKEN_FILE does not exist in \/nowhere\/token/,
      ],
      [
        'a proxy of no VO',
        ({ credentials }) => ({ X509_USER_PROXY: credentials!.proxyNoVo }),
        /credentials\/refused: the server refuses the credential: .*permission denied/,
      ],
      [
        'a proxy past its time',
        ({ credentials }) => ({ X509_USER_PROXY: credentials!.proxyExpired }),
        /credentials\/expired: the proxy in \$X509_USER_PROXY is past its time: .*x509up-expired/,
      ],
    ];
    it.each(refused)('%s ends with status 4 and the reason', (_, credentials, reason) => {
      const { status, stderr } = colweave(['schema', `${rig().urls.root}/store/nano_1.root`], env(credentials(rig())));
      expect(stderr).toMatch(reason);
      expect(status).toBe(4);
      expect(stderr).not.toMatch(/eyJ/); // no token is ever shown
    });
  });

  describe('a door that takes proxies alone', () => {
    const rig = useRig('gsi');
    const schema = (env: Record<string, string>) =>
      colweave(['schema', `${rig().urls.root}/store/nano_1.root`], {
        X509_CERT_DIR: rig().credentials!.certDir,
        ...env,
      });

    it('joins with a proxy', () =>
      expectSameJoin(rig(), { X509_CERT_DIR: rig().credentials!.certDir, X509_USER_PROXY: rig().credentials!.proxy }));

    it('says that a token does not help', () => {
      const { status, stderr } = schema({ BEARER_TOKEN_FILE: rig().credentials!.token });
      expect([status, stderr]).toEqual([
        4,
        expect.stringMatching(/credentials\/absent: the server lets in an X\.509 proxy, and none was found/),
      ]);
    });

    it('says that a proxy may be read by others', () => {
      const path = join(rig().dir, 'open-proxy');
      copyFileSync(rig().credentials!.proxy, path);
      chmodSync(path, 0o644);
      const { status, stderr } = schema({ X509_USER_PROXY: path });
      expect([status, stderr]).toEqual([
        4,
        expect.stringMatching(/credentials\/bad-file: .* its mode is 0644, and must be 0600/),
      ]);
    });

    it('writes with a proxy, and says why not with another', () => {
      const { certDir, proxy, proxyNoVo, proxyExpired } = rig().credentials!;
      const write = (path: string) =>
        colweave(
          [
            'join',
            join(FIXTURES, FILES[0]!),
            '--with',
            'jes:',
            join(FIXTURES, FILES[2]!),
            '-o',
            `${rig().urls.root}/store/out.parquet`,
          ],
          { X509_CERT_DIR: certDir, X509_USER_PROXY: path },
        );
      const expired = write(proxyExpired);
      expect([expired.status, expired.stderr]).toEqual([
        4,
        expect.stringMatching(/credentials\/expired: the proxy in /),
      ]);
      const noVo = write(proxyNoVo);
      expect([noVo.status, noVo.stderr]).toEqual([
        4,
        expect.stringMatching(/credentials\/refused: .*permission denied/),
      ]);
      expect(existsSync(join(rig().store, 'out.parquet'))).toBe(false);
      expect(write(proxy).status).toBe(0);
      expect(existsSync(join(rig().store, 'out.parquet'))).toBe(true);
    });

    it('says that the copy is not what the server has', () => {
      // the server remembers the sum of a file by its time
      const path = join(rig().store, 'nano_2.root');
      const { certDir, proxy } = rig().credentials!;
      const env = { X509_CERT_DIR: certDir, X509_USER_PROXY: proxy };
      expect(runCommand('xrdfs', [rig().urls.root, 'query', 'checksum', '/store/nano_2.root'], env).status).toBe(0);
      const { atime, mtime } = statSync(path);
      const bytes = readFileSync(path);
      bytes[20_000]! ^= 1;
      writeFileSync(path, bytes);
      utimesSync(path, atime, mtime);
      const { status, stderr } = colweave(['schema', `${rig().urls.root}/store/nano_2.root`], env);
      expect([status, stderr]).toEqual([75, expect.stringMatching(/remote\/protocol: the copy .*CheckSum error/)]);
    });

    it('says that the official client is missing', () => {
      const path = join(rig().dir, 'bin');
      if (!existsSync(path)) symlinkSync(dirname(process.execPath), path);
      const { status, stderr } = schema({ X509_USER_PROXY: rig().credentials!.proxy, PATH: path });
      expect([status, stderr]).toEqual([4, expect.stringMatching(/xrdcp is needed: it is not on PATH/)]);
    });
  });
});
