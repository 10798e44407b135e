// Runs the transcripts of test/golden: each `$ ` line in a fresh directory with a fixed environment; what is printed, the exit
// status and the files that appear must be as written there. UPDATE_GOLDEN=1 writes them anew: review the difference.
import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const HERE = dirname(fileURLToPath(import.meta.url));
const TOP = dirname(HERE);
const FOLDER = join(HERE, 'golden');
const LIMIT_MS = 60_000;
/** Sizes of outputs differ between versions of a codec. */
const SIZE = /^( *wrote .*), [\d.]+ [kM]?B$/gm;

interface Step {
  readonly comments: readonly string[];
  readonly command: string;
}

/** Lines `# ...` before a `$ ...` line say what it shows; all other lines are what was seen last time. */
function parseTranscript(text: string): Step[] {
  const steps: Step[] = [];
  let comments: string[] = [];
  let inOutput = false;
  for (const line of text.split('\n')) {
    if (line.startsWith('$ ')) {
      steps.push({ comments, command: line.slice(2) });
      comments = [];
      inOutput = true;
    } else if (line.startsWith('--- exit')) {
      inOutput = false;
    } else if (!inOutput && line.startsWith('# ')) {
      comments.push(line);
    }
  }
  return steps;
}

interface Place {
  readonly directory: string;
  readonly environment: NodeJS.ProcessEnv;
  /** What failed commands left behind. */
  readonly left: string[];
}

/** Compiled code of the program, so that each of some hundred commands does not compile it anew. */
const compiled = mkdtempSync(join(tmpdir(), 'colweave-compiled-'));
const places: string[] = [compiled];
afterAll(() => {
  for (const place of places) rmSync(place, { recursive: true, force: true });
});

function makePlace(): Place {
  const root = mkdtempSync(join(tmpdir(), 'colweave-golden-'));
  places.push(root);
  const [directory, tools, scratch] = ['work', 'tools', 'scratch'].map((name) => join(root, name)) as [
    string,
    string,
    string,
  ];
  for (const folder of [directory, tools, scratch]) mkdirSync(folder);
  symlinkSync(join(TOP, 'fixtures'), join(directory, 'fixtures'));
  const quoted = [process.execPath, join(TOP, 'bin', 'colweave.js')].map((path) => `'${path}'`).join(' ');
  writeFileSync(join(tools, 'colweave'), `#!/bin/sh\nexec ${quoted} "$@"\n`, { mode: 0o755 });
  const environment = {
    PATH: `${tools}:/usr/local/bin:/usr/bin:/bin`,
    HOME: scratch,
    TMPDIR: scratch,
    LC_ALL: 'C',
    TZ: 'UTC',
    NO_COLOR: '1',
    GOLDEN: FOLDER,
    NODE: process.execPath,
    NODE_COMPILE_CACHE: compiled,
  };
  return { directory, environment, left: [] };
}

/** Directories end in `/`: an empty one left behind counts too. */
function filesOf(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .map((entry) => `${relative(directory, join(entry.parentPath, entry.name))}${entry.isDirectory() ? '/' : ''}`)
    .filter((name) => name !== 'fixtures' && !/^shared-cache\/./.test(name)) // a cache names its files as it likes
    .sort();
}

interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  readonly exit: number | string;
}

function runShell(command: string, { directory, environment }: Place): Promise<Ran> {
  const options = { cwd: directory, env: environment, timeout: LIMIT_MS, encoding: 'utf8' as const };
  return new Promise((resolve) => {
    const child = execFile('/bin/sh', ['-c', command], options, (_, stdout, stderr) => {
      resolve({ stdout, stderr, exit: child.exitCode ?? child.signalCode ?? 'unknown' });
    });
    child.stdin?.end();
  });
}

/** Without what differs between machines, runs and versions of a codec: paths, process ids, sizes. */
function plain(text: string, { directory }: Place): string {
  return text
    .replaceAll(directory, 'DIRECTORY')
    .replaceAll(TOP, 'COLWEAVE')
    .replace(/\.\d+-[0-9a-fx]+-\d+\.part/g, '.PID-N.part')
    .replace(SIZE, '$1, SIZE')
    .replace(/needs about [\d.]+ k?M?B/g, 'needs about SIZE')
    .replace(/"(bytes|memoryBytes)":\d+/g, '"$1":0')
    .replace(/\n?$/, '\n');
}

async function runStep({ comments, command }: Step, place: Place): Promise<string> {
  const { directory } = place;
  const before = filesOf(directory);
  const { stdout, stderr, exit } = await runShell(command, place);
  const created = filesOf(directory).filter((name) => !before.includes(name));
  // whatever went wrong: nothing is left under the output's name, no part file, no directory
  if (exit !== 0 && command.includes('colweave')) place.left.push(...created.map((name) => `${name} by: ${command}`));
  const spilled = filesOf(place.environment.TMPDIR!).filter((name) => !place.left.includes(name));
  place.left.push(...spilled);
  return [
    ...comments.map((line) => `${line}\n`),
    `$ ${command}\n`,
    stdout === '' ? '' : plain(stdout, place),
    stderr === '' ? '' : `--- stderr\n${plain(stderr, place)}`,
    created.length === 0 ? '' : `--- files ${created.join(' ')}\n`,
    `--- exit ${exit}\n`,
  ].join('');
}

/** A small file system that can be full needs root and mount(8). */
function mountSmall(directory: string): boolean {
  const target = join(directory, 'small');
  mkdirSync(target);
  return spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', target]).status === 0;
}

for (const name of readdirSync(FOLDER).filter((each) => each.endsWith('.txt'))) {
  test.concurrent(`golden ${name}`, { timeout: 120_000 }, async (context) => {
    const path = join(FOLDER, name);
    const seen = readFileSync(path, 'utf8');
    const place = makePlace();
    const wantsSmall = / small\//.test(seen);
    if (wantsSmall && !mountSmall(place.directory)) context.skip('mounting a small file system needs root');
    try {
      const now: string[] = [];
      for (const step of parseTranscript(seen)) now.push(await runStep(step, place));
      if (process.env.UPDATE_GOLDEN === '1') writeFileSync(path, now.join('\n'));
      else context.expect(now.join('\n')).toBe(seen);
      context.expect(place.left, 'left behind').toEqual([]);
    } finally {
      if (wantsSmall) spawnSync('umount', [join(place.directory, 'small')]);
    }
  });
}

test('every command of the README is in a transcript, with the output shown', () => {
  const known = readdirSync(FOLDER)
    .filter((name) => name.endsWith('.txt'))
    .map((name) => readFileSync(join(FOLDER, name), 'utf8'))
    .join('\n');
  const readme = readFileSync(join(TOP, 'README.md'), 'utf8');
  const blocks = [...readme.matchAll(/^```console\n(.*?)^```$/gms)].map(([, block]) => block!);
  const shown = blocks.flatMap((block) => block.split(/^(?=\$ )/m));
  expect(shown.length).toBeGreaterThan(2);
  for (const text of shown) expect(known).toContain(text.replace(SIZE, '$1, SIZE'));
});
