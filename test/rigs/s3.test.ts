// s3:// and signed URLs against a real server that checks signatures: sources, outputs, and who is refused.
import { createHash, createHmac } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { targetFor } from '../../src/bytes/target.ts';
import { describeRig, FIXTURES, type Ran, runCommand, TOP } from './harness.ts';
import { missingForS3, type S3Rig, startS3, stopS3 } from './s3.ts';

const COLWEAVE = join(TOP, 'dist', 'colweave.js');
const FILES = ['nano_1.root', 'nano_2.root', 'friend_reordered.root', 'friend_i64.parquet'];

describeRig('s3', missingForS3(), () => {
  let rig: S3Rig;
  beforeAll(async () => {
    rig = await startS3();
    mkdirSync(join(rig.store, 'data dir'));
    for (const name of FILES) copyFileSync(join(FIXTURES, name), join(rig.store, 'data dir', name));
  });
  afterAll(() => stopS3(rig.dir));

  const colweave = (words: readonly string[], env: Readonly<Record<string, string>> = {}): Ran =>
    runCommand(process.execPath, ['--no-warnings', COLWEAVE, ...words], { ...rig.env, ...env });
  const s3 = (name: string) => `s3://${rig.bucket}/data dir/${name}`;
  const words = (at: (name: string) => string) => [at(FILES[0]!), at(FILES[1]!), '--with', 'jes:', at(FILES[2]!)];
  const local = () => {
    const path = join(rig.dir, 'local.parquet');
    expect(colweave(['join', ...words((name) => join(FIXTURES, name)), '-f', '-o', path]).status).toBe(0);
    return path;
  };

  it('joins from s3:// and writes to it what it writes here, byte for byte', () => {
    const here = local();
    const output = `s3://${rig.bucket}/out/joined.parquet`;
    const { status, stderr, stdout } = colweave(['join', ...words(s3), '-o', output, '-j', '2']);
    expect([status, stderr]).toEqual([0, '']);
    expect(stdout).toContain(`wrote ${output}: `);
    expect(readFileSync(join(rig.store, 'out/joined.parquet')).equals(readFileSync(here))).toBe(true);
    expect(colweave(['join', ...words(s3), '-o', output]).stdout).toContain('up to date');
    const other = colweave(['join', ...words(s3), '--how', 'inner', '-o', output]);
    expect([other.status, other.stderr]).toEqual([5, expect.stringContaining('output/exists')]);
    expect(colweave(['verify', output, '--against', ...FILES.slice(0, 3).map(s3)]).status).toBe(0);
    expect(colweave(['schema', s3('friend_i64.parquet')]).status).toBe(0);
  });

  it('puts large outputs there in parts, and takes them back when the job is given up', async () => {
    const path = join(rig.dir, 'large');
    const bytes = Buffer.alloc(40 * 2 ** 20, 'columns ');
    writeFileSync(path, bytes);
    Object.assign(process.env, rig.env);
    const target = await targetFor('s3://x/y');
    const name = `s3://${rig.bucket}/large.bin`;
    const all = () => readdirSync(join(rig.dir, 'root'), { recursive: true }).sort();
    const before = all();
    const controller = new AbortController();
    const going = target.upload(path, name, controller.signal);
    while (all().length === before.length) await new Promise((resolve) => setTimeout(resolve, 1));
    controller.abort(new Error('given up'));
    await expect(going).rejects.toThrow('given up');
    expect(await target.exists(name)).toBe(false);
    expect(all()).toEqual(before); // no part is left
    await target.upload(path, name);
    expect(await target.exists(name)).toBe(true);
    expect(readFileSync(join(rig.store, 'large.bin')).equals(bytes)).toBe(true);
  });

  it.each([
    [
      'no keys',
      { AWS_ACCESS_KEY_ID: '', AWS_SHARED_CREDENTIALS_FILE: '/dev/null' },
      /credentials\/absent: .*no S3 keys were found/,
    ],
    ['a wrong secret', { AWS_SECRET_ACCESS_KEY: 'guessed' }, /credentials\/refused: .* answers 403/],
    ['unknown keys', { AWS_ACCESS_KEY_ID: 'nobody' }, /credentials\/refused: .* answers 403/],
  ])('%s: refused with status 4, as source and as output', (_, env, reason) => {
    const source = colweave(['schema', s3('nano_1.root')], env);
    expect([source.status, source.stderr]).toEqual([4, expect.stringMatching(reason)]);
    const output = colweave(['join', join(FIXTURES, 'nano_1.root'), '-o', `s3://${rig.bucket}/refused.parquet`], env);
    expect([output.status, output.stderr]).toEqual([4, expect.stringMatching(/credentials\//)]);
    expect(existsSync(join(rig.store, 'refused.parquet'))).toBe(false);
    expect(source.stderr + output.stderr).not.toMatch(/testsecret123|guessed/);
  });

  it('says what is not there, and where nothing can be written', () => {
    const absent = colweave(['schema', s3('none.root')]);
    expect([absent.status, absent.stderr]).toEqual([3, expect.stringContaining('source/not-found')]);
    const other = colweave(['join', join(FIXTURES, 'nano_1.root'), '-o', 'gs://bucket/x.parquet']);
    expect([other.status, other.stderr]).toEqual([5, expect.stringContaining('nothing can be written to gs://')]);
    const folder = colweave(['join', join(FIXTURES, 'nano_1.root'), '-o', 's3://bucket/folder/']);
    expect([folder.status, folder.stderr]).toEqual([2, expect.stringContaining('an output on a server is one file')]);
  });

  /** As an S3 library signs a URL, written again here. */
  function presigned(name: string, when: Date, secret = rig.env.AWS_SECRET_ACCESS_KEY!): string {
    const url = new URL(`${rig.endpoint}/${rig.bucket}/${name.split('/').map(encodeURIComponent).join('/')}`);
    const time = when.toISOString().replace(/[-:]|\.\d{3}/g, '');
    const scope = `${time.slice(0, 8)}/us-east-1/s3/aws4_request`;
    const query = [
      ['X-Amz-Algorithm', 'AWS4-HMAC-SHA256'],
      ['X-Amz-Credential', `testkey/${scope}`],
      ['X-Amz-Date', time],
      ['X-Amz-Expires', '600'],
      ['X-Amz-SignedHeaders', 'host'],
    ].map(([key, value]) => `${key}=${encodeURIComponent(value!)}`);
    const canonical = ['GET', url.pathname, query.join('&'), `host:${url.host}`, '', 'host', 'UNSIGNED-PAYLOAD'].join(
      '\n',
    );
    const digest = createHash('sha256').update(canonical).digest('hex');
    const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
    const key = [time.slice(0, 8), 'us-east-1', 's3', 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${secret}`);
    const signature = hmac(key, ['AWS4-HMAC-SHA256', time, scope, digest].join('\n')).toString('hex');
    return `${url.href}?${query.join('&')}&X-Amz-Signature=${signature}`;
  }

  it('reads signed URLs, and tells those past their time from broken ones', () => {
    const now = new Date();
    const here = local();
    const output = join(rig.dir, 'signed.parquet');
    const signed = words((name) => presigned(`data dir/${name}`, now));
    const joined = colweave(['join', ...signed, '-o', output, '--depfile', join(rig.dir, 'signed.d')]);
    expect([joined.status, joined.stderr]).toEqual([0, '']);
    expect(readFileSync(output).equals(readFileSync(here))).toBe(true);
    const kept = readFileSync(join(rig.dir, 'signed.d'), 'utf8') + readFileSync(output, 'latin1') + joined.stdout;
    expect(kept).not.toMatch(/X-Amz-Signature=[0-9a-f]/);
    const old = colweave(['schema', presigned('data dir/nano_1.root', new Date(now.getTime() - 3600_000))]);
    expect([old.status, old.stderr]).toEqual([
      4,
      expect.stringMatching(/credentials\/expired: the signed URL is past its time/),
    ]);
    const broken = colweave(['schema', presigned('data dir/nano_1.root', now, 'guessed')]);
    expect([broken.status, broken.stderr]).toEqual([4, expect.stringMatching(/credentials\/refused: .*signature/)]);
    expect(old.stderr + broken.stderr).not.toMatch(/X-Amz-Signature=[0-9a-f]/);
  });
});
