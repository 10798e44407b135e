// The rig itself, seen by the official clients: who may read and who is refused. Our own client is measured by the same doors.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeRig, FIXTURES, runCommand } from './harness.ts';
import { FLAVOURS, missingForXrootd, serveFile, startXrootd, stopXrootd, type XrootdRig } from './xrootd.ts';

const SOURCE = join(FIXTURES, 'nano_1.root');

for (const flavour of FLAVOURS) {
  describeRig(`xrootd rig: ${flavour}`, missingForXrootd(), () => {
    let rig: XrootdRig;
    beforeAll(async () => {
      rig = await startXrootd(flavour);
      serveFile(rig, SOURCE, 'nano_1.root');
    });
    afterAll(() => stopXrootd(rig.dir));

    const copy = (env: Record<string, string>) => {
      const target = join(rig.dir, 'copy.root');
      const words = ['-s', '-f', `${rig.urls.root}/store/nano_1.root`, target];
      const { status, stderr } = runCommand('xrdcp', words, { X509_CERT_DIR: rig.env.X509_CERT_DIR ?? '', ...env });
      return status === 0 ? (readFileSync(target).equals(readFileSync(SOURCE)) ? 'same' : 'differs') : stderr;
    };
    const httpStatus = (words: readonly string[]) =>
      runCommand('curl', [
        ...['-s', '-L', '-o', '/dev/null', '-w', '%{http_code}', '-r', '0-9'],
        ...(rig.credentials ? ['--cacert', rig.credentials.caFile] : []),
        ...words,
        `${rig.urls.http}/store/nano_1.root`,
      ]).stdout;

    if (flavour === 'anonymous' || flavour === 'redirector') {
      it('gives files to anybody, over root:// and http', () => {
        expect(copy({})).toBe('same');
        expect(httpStatus([])).toBe('206');
      });
      return;
    }
    it('gives files to a proxy of the VO alone', () => {
      const { proxy, proxyNoVo, proxyExpired } = rig.credentials!;
      expect(copy({ X509_USER_PROXY: proxy })).toBe('same');
      expect(copy({})).toMatch(/Auth failed/);
      expect(copy({ X509_USER_PROXY: proxyNoVo })).toMatch(/permission denied/);
      expect(copy({ X509_USER_PROXY: proxyExpired })).toMatch(/Auth failed/);
      expect(httpStatus(['--cert', proxy, '--key', proxy])).toBe('206');
      expect(httpStatus(['--cert', proxyNoVo, '--key', proxyNoVo])).toBe('403');
      expect(httpStatus(['--cert', proxyExpired, '--key', proxyExpired])).toBe('000');
    });
    it(flavour === 'secure' ? 'gives files to a good token' : 'takes no token over root://', () => {
      const { token, tokenElsewhere, tokenExpired, tokenForged } = rig.credentials!;
      const bearer = (path: string) => ['-H', `Authorization: Bearer ${readFileSync(path, 'utf8').trim()}`];
      expect(copy({ BEARER_TOKEN_FILE: token })).toMatch(flavour === 'secure' ? /^same$/ : /Auth failed/);
      for (const bad of [tokenElsewhere, tokenExpired, tokenForged]) {
        expect(copy({ BEARER_TOKEN_FILE: bad })).toMatch(/Auth failed|permission denied/);
        expect(httpStatus(bearer(bad))).toBe('403');
      }
      expect(httpStatus(bearer(token))).toBe('206');
    });
  });
}
