// Outputs on real servers whose sender is killed: nothing is under the name, and the next run writes what it writes here.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type DelayProxy, startDelayProxy } from './delay-proxy.ts';
import { describeRig, rigPython, runLater, TOP } from './harness.ts';
import { missingForS3, startS3, stopS3 } from './s3.ts';
import { missingForXrootd, startXrootd, stopXrootd } from './xrootd.ts';

/** Its output is more than one part of a multipart upload. */
const EVENTS = '80000';
const DELAY_MS = 20;
/** Of the output, when the sender is killed. */
const MOMENTS = [0.05, 0.4, 0.9];
const POLL_MS = 2;
/** A server on a busy machine puts what it has on the disk. */
const SETTLE_MS = 500;

const python = rigPython();

interface Place {
  readonly env: Readonly<Record<string, string>>;
  readonly proxy: DelayProxy;
  readonly url: (name: string) => string;
  /** Where that lies on this machine. */
  readonly path: (name: string) => string;
  readonly stop: () => unknown;
}

async function xrootdPlace(): Promise<Place> {
  const rig = await startXrootd('anonymous');
  const proxy = await startDelayProxy(Number(new URL(rig.urls.http).port), DELAY_MS);
  return {
    env: {},
    proxy,
    url: (name) => `root://localhost:${proxy.port}//store/${name}`,
    path: (name) => join(rig.store, name),
    stop: () => stopXrootd(rig.dir),
  };
}

async function s3Place(): Promise<Place> {
  const rig = await startS3();
  const proxy = await startDelayProxy(Number(new URL(rig.endpoint).port), DELAY_MS);
  return {
    env: { ...rig.env, AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${proxy.port}` },
    proxy,
    url: (name) => `s3://${rig.bucket}/${name}`,
    path: (name) => join(rig.store, name),
    stop: () => stopS3(rig.dir),
  };
}

for (const [name, missing, open] of [
  ['root://', missingForXrootd(), xrootdPlace],
  ['s3://', missingForS3(), s3Place],
] as const) {
  describeRig(`killed while it sends to ${name}`, missing ?? python.missing, () => {
    let folder = '';
    let place: Place;
    let expected: Buffer;
    const words = (output: string) => {
      const columns = ['-c', '*', '-j', '2'];
      return [
        '--no-warnings',
        join(TOP, 'dist/colweave.js'),
        'join',
        join(folder, 'nano.root'),
        ...columns,
        '-o',
        output,
      ];
    };

    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'colweave-sent-'));
      const make = [join(TOP, 'test/rigs/make_cached.py'), join(folder, 'nano.root'), EVENTS, '1'];
      expect(spawnSync(python.path, make).status).toBe(0);
      place = await open();
      const here = join(folder, 'here.parquet');
      expect((await runLater(process.execPath, words(here))).status).toBe(0);
      expected = readFileSync(here);
    });
    afterAll(async () => {
      place.proxy.close();
      await place.stop();
      rmSync(folder, { recursive: true, force: true });
    });

    /** Starts a run, and kills it when so much of the output is on its way. */
    async function killAt(output: string, part: number, kill: (child: ChildProcess) => void): Promise<void> {
      const before = place.proxy.sent();
      const child = spawn(process.execPath, words(output), {
        cwd: folder,
        stdio: 'ignore',
        detached: true,
        env: { PATH: process.env.PATH, HOME: folder, TMPDIR: folder, ...place.env },
      });
      const ended = new Promise((resolve) => child.on('close', resolve));
      while (child.exitCode === null && place.proxy.sent() - before < part * expected.length) await sleep(POLL_MS);
      expect(child.exitCode).toBe(null);
      kill(child);
      await ended;
    }

    async function expectNothingThenAll(name: string): Promise<void> {
      expect(existsSync(place.path(name))).toBe(false);
      await sleep(SETTLE_MS);
      expect(existsSync(place.path(name))).toBe(false);
      const next = await runLater(process.execPath, words(place.url(name)), { TMPDIR: folder, ...place.env });
      expect([next.status, next.stderr]).toEqual([0, '']);
      expect(readFileSync(place.path(name)).equals(expected)).toBe(true);
    }

    it.each(MOMENTS)('with all that it started, at %d of the output', async (part) => {
      const name = `at${part}.parquet`;
      await killAt(place.url(name), part, ({ pid }) => process.kill(-pid!, 'SIGKILL'));
      await expectNothingThenAll(name);
    });

    it('by itself', async () => {
      const name = 'alone.parquet';
      await killAt(place.url(name), 0.3, (child) => child.kill('SIGKILL'));
      // a client that it started may go on to the end
      for (let before = -1; before < place.proxy.sent(); await sleep(SETTLE_MS)) before = place.proxy.sent();
      await expectNothingThenAll(name);
    });
  });
}
