// Owns the logs of jobs that use a cache: which entries each one reads and adds. They keep gc off what is in use, say when
// an entry was used last (access times are off on most clusters), and give the counts of a run.
import {
  appendFileSync,
  chmodSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { isAlive, startOf } from './lock.ts';
import { type CacheAccess, openPlace, partOf, uniqueName, writeInto } from './place.ts';

/** A running job touches its log this often. */
const BEAT_MS = 60_000;
/** A job of another machine that has not for this long has ended, or lost its machine. */
const GONE_MS = 20 * 60_000;
/** What logs of ended jobs said, by entry. */
const PAST = 'past.log';

export interface CacheOptions {
  readonly folder: string;
  readonly offline: boolean;
  readonly always: boolean;
}

/** A cache in use by this process. */
export interface CacheJob {
  readonly access: CacheAccess;
  counts(): CacheCounts;
  /** The log stays, for gc; nothing of it is in use any more. */
  close(): void;
}

/** Columns of files. */
export interface CacheCounts {
  /** Read from the cache, and not put there by this job. */
  readonly hits: number;
  /** Fetched and put there. */
  readonly fetched: number;
  readonly storedBytes: number;
  readonly damaged: number;
  /** Files whose server was not asked. */
  readonly offline: number;
  /** When the first of these was seen last (ISO 8601). */
  readonly oldest?: string;
  /** Why nothing could be added any more. */
  readonly failed?: string;
}

/** Errors: cache/not-private, cache/unusable. */
export function openCache({ folder, offline, always }: CacheOptions): CacheJob {
  const place = openPlace(folder);
  const job = place.writable ? join(partOf(place, 'jobs'), `${uniqueName(`${Date.now()}`)}.log`) : '';
  const access: CacheAccess = { ...place, job, offline, always };
  if (job !== '')
    note(access, 'start', JSON.stringify({ host: hostname(), pid: process.pid, started: startOf(process.pid) }));
  const beat = setInterval(() => touch(job), BEAT_MS);
  beat.unref();
  return {
    access,
    counts: () => countsOf(job),
    close() {
      clearInterval(beat);
      if (job === '') return;
      try {
        if (readLog(job).entries.size === 0) rmSync(job);
        else renameSync(job, job.replace(/\.log$/, '.done'));
      } catch {
        // gc took it away, or the directory went
      }
    },
  };
}

type Word = 'start' | 'use' | 'add' | 'damaged' | 'offline' | 'failed';

/** Entries that this thread said it uses: once is enough. */
const said = new Set<string>();

/** Lines are short and appended whole, from any thread. A log that cannot be kept stops nothing. */
export function note({ job, fileMode }: CacheAccess, word: Word, text: string): void {
  if (job === '') return;
  if (word === 'use') {
    const use = `${job} ${text}`;
    if (said.has(use)) return;
    said.add(use);
  }
  try {
    appendFileSync(job, `${word} ${text}\n`, { mode: fileMode });
    if (word === 'start') chmodSync(job, fileMode);
  } catch {
    // gc may take an entry earlier than it should
  }
}

function touch(path: string): void {
  try {
    const now = new Date();
    utimesSync(path, now, now);
  } catch {
    // as above
  }
}

interface JobLog {
  /** Names of entries, and when each was used last (ms). */
  readonly entries: ReadonlyMap<string, number>;
  readonly running: boolean;
}

function readLog(path: string): JobLog {
  const modified = statSync(path).mtimeMs;
  const entries = new Map<string, number>();
  let running = path.endsWith('.log') && !path.endsWith(PAST);
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const [word, first, second] = line.split(' ');
    if (word === 'start' && running) running = isRunning(line.slice('start '.length), modified);
    if ((word === 'use' || word === 'add') && first !== undefined) entries.set(first, modified);
    if (word === 'past' && first !== undefined) entries.set(first, Number(second));
  }
  return { entries, running };
}

function isRunning(start: string, modified: number): boolean {
  try {
    return isAlive(JSON.parse(start)) ?? Date.now() - modified < GONE_MS;
  } catch {
    return Date.now() - modified < GONE_MS;
  }
}

function countsOf(job: string): CacheCounts {
  const sets = {
    use: new Set<string>(),
    add: new Map<string, number>(),
    damaged: new Set<string>(),
    offline: new Map<string, string>(),
  };
  let failed: string | undefined;
  if (job !== '') {
    for (const line of readFileSync(job, 'utf8').split('\n')) {
      const [word, first = '', second] = line.split(' ');
      if (word === 'failed') failed = line.slice('failed '.length);
      else if (word === 'add') sets.add.set(first, Number(second));
      else if (word === 'offline') sets.offline.set(line.split(' ').slice(2).join(' '), first);
      else if (word === 'use' || word === 'damaged') sets[word].add(first);
    }
  }
  return {
    hits: [...sets.use].filter((name) => !sets.add.has(name)).length,
    fetched: sets.add.size,
    storedBytes: [...sets.add.values()].reduce((sum, bytes) => sum + bytes, 0),
    damaged: sets.damaged.size,
    offline: sets.offline.size,
    ...(sets.offline.size === 0 ? {} : { oldest: [...sets.offline.values()].sort()[0]! }),
    ...(failed === undefined ? {} : { failed }),
  };
}

export interface CacheUse {
  /** When each entry was used last (ms), as far as logs say. */
  readonly last: ReadonlyMap<string, number>;
  readonly inUse: ReadonlySet<string>;
  readonly runningJobs: number;
}

/** Reads all logs. With `tidy`, those of ended jobs become one. */
export function readUse(access: CacheAccess, tidy = false): CacheUse {
  const folder = partOf(access, 'jobs');
  const last = new Map<string, number>();
  const inUse = new Set<string>();
  const ended: string[] = [];
  let runningJobs = 0;
  for (const name of readdirSync(folder)) {
    if (!/\.(log|done)$/.test(name)) continue;
    const path = join(folder, name);
    if (path === access.job) continue; // whoever asks
    let log: JobLog;
    try {
      log = readLog(path);
    } catch {
      continue; // it ended or was tidied meanwhile
    }
    for (const [entry, time] of log.entries) {
      last.set(entry, Math.max(last.get(entry) ?? 0, time));
      if (log.running) inUse.add(entry);
    }
    if (log.running) runningJobs++;
    else if (name !== PAST) ended.push(path);
  }
  if (tidy && ended.length > 0) {
    const lines = [...last].map(([entry, time]) => `past ${entry} ${Math.round(time)}\n`);
    writeInto(access, join(folder, PAST), lines.join(''));
    for (const path of ended) rmSync(path, { force: true });
  }
  return { last, inUse, runningJobs };
}
