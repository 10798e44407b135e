// The part file: nothing half-written under the final name, nothing left behind, and each refusal under its code.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openPartFile } from '../../src/sink/part-file.ts';

/** The system call that is to fail, and how; bytes that fit before `write` does. */
const fault: { call?: 'write' | 'sync' | 'link' | undefined; code: string; room: number } = { code: '', room: 0 };

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof import('node:fs/promises')>();
  const fail = () => Object.assign(new Error(fault.code), { code: fault.code });
  const patch = (handle: FileHandle): FileHandle => {
    const write = handle.write.bind(handle) as (bytes: Uint8Array, at: number, length: number) => Promise<unknown>;
    const sync = handle.sync.bind(handle);
    return Object.assign(handle, {
      write: async (bytes: Uint8Array, at: number, length: number) => {
        if (fault.call !== 'write') return write(bytes, at, length);
        if (fault.room === 0) throw fail();
        const count = Math.min(length, fault.room);
        fault.room -= count;
        return write(bytes, at, count);
      },
      sync: async () => (fault.call === 'sync' ? Promise.reject(fail()) : sync()),
    });
  };
  return {
    ...real,
    open: async (...args: Parameters<typeof real.open>) => patch(await real.open(...args)),
    link: async (...args: Parameters<typeof real.link>) =>
      fault.call === 'link' ? Promise.reject(fail()) : real.link(...args),
  };
});

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'colweave-part-'));
});
afterEach(() => {
  fault.call = undefined;
  chmodSync(folder, 0o755);
  rmSync(folder, { recursive: true });
});

const bytes = (text: string) => new TextEncoder().encode(text);

async function write(target: string, text: string, force = false) {
  const part = await openPartFile(target, { force });
  await part.write(bytes(text));
  await part.finish();
  return part;
}

describe('a part file', () => {
  it('is a dot name beside the target until commit, and then only the target is there', async () => {
    const target = join(folder, 'out.parquet');
    const part = await write(target, 'data');
    expect(readdirSync(folder)).toEqual([expect.stringMatching(/^\.out\.parquet\.\d+-[0-9a-f]{16}-\d+\.part$/)]);
    await part.commit();
    await part.abort();
    expect(readdirSync(folder)).toEqual(['out.parquet']);
    expect(readFileSync(target, 'utf8')).toBe('data');
  });

  it('of a process that was killed goes with the next one of that target, and no other does', async () => {
    const target = join(folder, 'out.parquet');
    const dies = [
      `import { openPartFile } from ${JSON.stringify(pathToFileURL('src/sink/part-file.ts').href)};`,
      `for (const name of ['out.parquet', 'out.parquet.2', 'other']) {`,
      `  const part = await openPartFile(${JSON.stringify(folder)} + '/' + name, { force: false });`,
      `  await part.write(new Uint8Array(10));`,
      `}`,
      `process.kill(process.pid, 'SIGKILL');`,
    ].join('\n');
    const { signal, pid } = spawnSync(process.execPath, ['--no-warnings', '--input-type=module', '-e', dies]);
    expect(signal).toBe('SIGKILL');
    const [of, others] = [[], []] as [string[], string[]];
    for (const name of readdirSync(folder)) (name.startsWith(`.out.parquet.${pid}-`) ? of : others).push(name);
    expect([of.length, others.length]).toEqual([1, 2]);
    // of this process, which lives; of another start of the machine; what nobody here wrote
    const mine = await write(target, 'data');
    const [, mark] = /-([0-9a-f]{16})-/.exec(mine.path)!;
    others.push(
      basename(mine.path),
      `.out.parquet.${pid}-${'0'.repeat(16)}-0.part`,
      `.out.parquet.${pid}-${mark}.part`,
    );
    for (const name of others.slice(3)) writeFileSync(join(folder, name), '');
    const next = await write(target, 'more');
    expect(readdirSync(folder).sort()).toEqual([...others, basename(next.path)].sort());
    await Promise.all([mine.abort(), next.abort()]);
  });

  it('keeps small and large writes in order, and counts them', async () => {
    const target = join(folder, 'out');
    const part = await openPartFile(target, { force: false });
    const pieces = [10, 3_000_000, 1, 1_048_576, 500_000, 700_000].map((length, i) => Buffer.alloc(length, i + 1));
    for (const piece of pieces) await part.write(piece);
    expect(part.position).toBe(5_248_587);
    await part.finish();
    await part.commit();
    expect(readFileSync(target).equals(Buffer.concat(pieces))).toBe(true);
  });

  it('two at once for one target do not collide; the second to commit finds it there', async () => {
    const target = join(folder, 'out');
    const [first, second] = [await write(target, 'first'), await write(target, 'second')];
    await first.commit();
    await expect(second.commit()).rejects.toMatchObject({ code: 'output/exists', where: [target] });
    await second.abort();
    expect(readdirSync(folder)).toEqual(['out']);
    expect(readFileSync(target, 'utf8')).toBe('first');
  });

  it('refuses a target that is there, replaces it by force, and follows a link to it', async () => {
    const target = join(folder, 'out');
    writeFileSync(target, 'old');
    await expect(openPartFile(target, { force: false })).rejects.toMatchObject({ code: 'output/exists' });
    const name = join(folder, 'link');
    symlinkSync(target, name);
    await expect(openPartFile(name, { force: false })).rejects.toMatchObject({ code: 'output/exists' });
    const part = await write(name, 'new', true);
    expect(readFileSync(target, 'utf8')).toBe('old');
    await part.commit();
    expect(readFileSync(target, 'utf8')).toBe('new');
    expect(lstatSync(name).isSymbolicLink()).toBe(true);
  });

  it('leaves another hard link of a replaced file alone', async () => {
    const target = join(folder, 'out');
    writeFileSync(target, 'old');
    linkSync(target, join(folder, 'other'));
    await (await write(target, 'new', true)).commit();
    expect(readFileSync(join(folder, 'other'), 'utf8')).toBe('old');
  });

  it('never replaces a directory or a device, not even by force', async () => {
    mkdirSync(join(folder, 'sub'));
    for (const target of [join(folder, 'sub'), '/dev/null']) {
      await expect(openPartFile(target, { force: true })).rejects.toMatchObject({ code: 'output/not-writable' });
    }
    expect(existsSync('/dev/null')).toBe(true);
  });

  it('says that the directory is not there, or is a file', async () => {
    writeFileSync(join(folder, 'file'), '');
    for (const [target, message] of [
      [join(folder, 'none', 'out'), 'the directory does not exist'],
      [join(folder, 'file', 'out'), 'a part of the path is not a directory'],
    ] as const) {
      const opened = openPartFile(target, { force: false });
      await expect(opened).rejects.toMatchObject({ code: 'output/not-writable', where: [target] });
      await expect(opened).rejects.toThrow(message);
    }
  });

  it.skipIf(process.getuid?.() === 0)('says that the directory is not writable', async () => {
    chmodSync(folder, 0o555);
    const opened = openPartFile(join(folder, 'out'), { force: false });
    await expect(opened).rejects.toMatchObject({ code: 'output/not-writable' });
    await expect(opened).rejects.toThrow('permission denied');
  });

  it.each([
    ['write', 'ENOSPC', 'output/disk-full', 'the disk is full'],
    ['write', 'EDQUOT', 'output/disk-full', 'the quota is used up'],
    ['sync', 'ENOSPC', 'output/disk-full', 'the disk is full'],
    ['write', 'EFBIG', 'output/not-writable', 'larger than is allowed'],
    ['sync', 'EIO', 'output/not-writable', 'input/output error'],
  ] as const)('%s that fails with %s is %s, and nothing is left', async (call, code, expected, message) => {
    const target = join(folder, 'out');
    const part = await openPartFile(target, { force: false });
    Object.assign(fault, { call, code, room: 100_000 });
    const writing = (async () => {
      await part.write(Buffer.alloc(300_000));
      await part.write(Buffer.alloc(3_000_000));
      await part.finish();
    })();
    await expect(writing).rejects.toMatchObject({ code: expected, where: [target] });
    await expect(writing).rejects.toThrow(message);
    await part.abort();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('does without hard links where the file system has none', async () => {
    Object.assign(fault, { call: 'link', code: 'EPERM' });
    const target = join(folder, 'out');
    const [first, second] = [await write(target, 'first'), await write(target, 'second')];
    await first.commit();
    await expect(second.commit()).rejects.toMatchObject({ code: 'output/exists' });
    await second.abort();
    expect(readdirSync(folder)).toEqual(['out']);
  });
});
