// Owns which cache a command reads through, and telling what came of it.
import { type CacheCounts, type CacheJob, openCache } from '../cache/jobs.ts';
import { defaultCacheFolder } from '../cache/place.ts';
import { ColweaveError } from '../core/errors.ts';
import { formatCount } from '../core/text.ts';
import type { CacheChoice } from './fetch-types.ts';
import type { CommandContext } from './types.ts';

/** `byDefault`: where neither option nor $COLWEAVE_CACHE says anything. */
export function cacheFolder(named: string | undefined, byDefault: boolean): string | undefined {
  const asked = named ?? (process.env.COLWEAVE_CACHE || undefined);
  if (asked === 'off') return undefined;
  return asked ?? (byDefault ? defaultCacheFolder() : undefined);
}

export interface CacheOutcome extends CacheCounts {
  readonly folder: string;
}

/** Runs `work` with the cache in its context. A directory that was named is for local files too. Errors: cache/. */
export async function withCache<T>(
  choice: CacheChoice,
  byDefault: boolean,
  context: CommandContext,
  work: (context: CommandContext) => Promise<T>,
): Promise<{ readonly result: T; readonly cache?: CacheOutcome }> {
  const offline = choice.offline === true;
  const folder = cacheFolder(choice.cache, byDefault || offline);
  if (folder === undefined) {
    if (offline) throw new ColweaveError('usage/bad-option', '--offline reads from the cache, which is off');
    return { result: await work(context) };
  }
  const job = openCache({ folder, offline, always: choice.cache !== undefined });
  try {
    const result = await work({ ...context, cache: job.access });
    return { result, cache: outcomeOf(job, context) };
  } finally {
    job.close();
  }
}

function outcomeOf({ access, counts }: CacheJob, { emit }: CommandContext): CacheOutcome {
  const outcome = { folder: access.folder, ...counts() };
  const { damaged, offline, oldest, failed } = outcome;
  if (damaged > 0) {
    const text = `${damaged} ${damaged === 1 ? 'entry was' : 'entries were'} damaged, set aside and fetched again`;
    emit({ type: 'warning', code: 'cache/damaged', text });
  }
  if (failed !== undefined) emit({ type: 'warning', code: 'cache/unusable', text: `${failed}; read without it` });
  if (offline > 0) {
    const files = `${offline} file${offline === 1 ? '' : 's'}`;
    emit({
      type: 'note',
      text: `no server was asked for ${files}: the cache knows them as they were on ${oldest?.slice(0, 16).replace('T', ' ')} UTC`,
    });
  }
  return outcome;
}

/** `cache: 12 columns were there, 3 fetched`. */
export function cacheText({ hits, fetched }: CacheCounts): string {
  return `cache: ${formatCount(hits)} column${hits === 1 ? '' : 's'} were there, ${formatCount(fetched)} fetched`;
}
