// Names and words of XRootD: URLs, redirects and errors as servers and the official client write them, and its program's use.
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { clientError, copyByClient } from '../../src/bytes/xrootd-client.ts';
import { serverError } from '../../src/bytes/xrootd-errors.ts';
import { decodeProtocols, decodeRedirect, decodeStatus, parseUrl } from '../../src/bytes/xrootd-wire.ts';
import { int } from './xrootd-fake.ts';

describe('URLs', () => {
  it.each([
    ['root://cmseos.fnal.gov//store/user/me/x.root', 'cmseos.fnal.gov', 1094, '/store/user/me/x.root', ''],
    ['root://cmseos.fnal.gov/store/x.root', 'cmseos.fnal.gov', 1094, '/store/x.root', ''],
    ['xroot://me@host:2094///a/b?xrdcl.unzip=x&authz=abc', 'host', 2094, '/a/b', 'authz=abc'],
    ['root://[2001:db8::1]:1095//a', '2001:db8::1', 1095, '/a', ''],
    ['root://host//a b/ü.root', 'host', 1094, '/a b/ü.root', ''],
  ])('%s', (uri, host, port, path, opaque) => {
    expect(parseUrl(uri)).toMatchObject({ host, port, path, opaque, tls: false });
  });

  it('say whether all is encrypted, and who asks', () => {
    expect(parseUrl('roots://me:secret@host//a')).toMatchObject({ tls: true, user: 'me' });
    expect(parseUrl('xroots://host//a')).toMatchObject({ tls: true, user: undefined });
  });

  it.each(['root://', 'root:///store/x', 'https://host//a', 'root://host:99999//a'])('%s is none', (uri) => {
    expect(parseUrl(uri)).toBeUndefined();
  });
});

describe('redirects', () => {
  const redirect = (port: number, text: string) => decodeRedirect(Buffer.concat([int(port), Buffer.from(text)]), []);
  it.each([
    [1095, 'data1.site', { host: 'data1.site', port: 1095, opaque: '', token: '' }],
    [1095, 'data1.site?cap.sym=a&b=c?tok', { host: 'data1.site', port: 1095, opaque: 'cap.sym=a&b=c', token: 'tok' }],
    [1095, '[::1]:1095', { host: '::1', port: 1095, opaque: '', token: '' }],
    [0, 'data1.site', { host: 'data1.site', port: 1094, opaque: '', token: '' }],
    [-1, 'root://other:2000//x?y=1', { host: 'other', port: 2000, opaque: 'y=1', token: '' }],
  ])('%d %s', (port, text, expected) => expect(redirect(port, text)).toEqual(expected));

  it('to nothing, or to something else, are errors', () => {
    expect(() => redirect(70_000, 'host')).toThrow('names no server');
    expect(() => redirect(-1, 'https://other/x')).toThrow('something else than root://');
    expect(() => decodeRedirect(Buffer.alloc(3), [])).toThrow('too short');
  });
});

it('what a server takes, and the status of a file', () => {
  const offer = Buffer.from('&P=gsi,v:10600,c:ssl,ca:5168735f.0|b96dc756.0&P=ztn,0:4096:\0');
  expect(decodeProtocols(offer)).toEqual(['gsi', 'ztn']);
  expect(
    decodeStatus(Buffer.from('44792888239914496 45869 48 1764112070 1764112070 0 0644 xrootd xrootd\0'), []),
  ).toEqual({
    id: '44792888239914496',
    size: 45869,
    flags: 48,
    modified: 1764112070,
  });
  for (const bad of ['', '1 2', '1 x 3 4', '1 -2 3 4', '1 1e99 3 4']) {
    expect(() => decodeStatus(Buffer.from(bad), [])).toThrow('cannot be decoded');
  }
});

it('errors of a server on one line, without control characters', () => {
  const { code, message } = serverError({ number: 3011, text: 'gone' }, ['root://h//x']);
  expect([code, message]).toEqual(['source/not-found', 'the server has no such file: gone (3011)']);
  expect(serverError({ number: 4711, text: '' }, []).code).toBe('source/not-readable');
});

describe('the official client', () => {
  it.each([
    [
      'Run: [ERROR] Server responded with an error: [3011] Unable to open /x; no such file or directory  (source)',
      'source/not-found',
    ],
    ['Run: [ERROR] CheckSum error', 'remote/protocol'],
    ['Run: [ERROR] Local error: no space left on device (destination)', 'memory/not-enough'],
    ['Run: [ERROR] Operation expired (source)', 'remote/timeout'],
    ['Run: [FATAL] Connection error (source)', 'remote/busy'],
  ])('%s: %s', (stderr, code) => expect(clientError(stderr, ['root://h//x']).code).toBe(code));

  it('compares sums, and copies without where the server has none', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'colweave-client-'));
    try {
      const client = join(folder, 'xrdcp');
      const said = '[ERROR] Server responded with an error: [3013] query chksum is not supported';
      // the words that the real one said of a server without sums
      writeFileSync(
        client,
        `#!/bin/sh\necho "$*" >> "${folder}/calls"\ncase "$*" in *cksum*) echo "${said}" >&2; exit 54;; esac\n`,
      );
      chmodSync(client, 0o755);
      const copy = { from: 'root://h//x', to: '/y', flags: ['--posc'], where: ['root://h//x'] };
      expect(await copyByClient(client, copy)).toBeUndefined();
      expect(readFileSync(join(folder, 'calls'), 'utf8').trim().split('\n')).toEqual([
        '--silent --nopbar --force --posc --cksum adler32 --rm-bad-cksum root://h//x /y',
        '--silent --nopbar --force --posc root://h//x /y',
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
