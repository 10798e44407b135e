// Owns looking after a cache from the command line: list, check, make room.

import { openCache } from '../cache/jobs.ts';
import { checkCache, collectGarbage, listCache } from '../cache/survey.ts';
import { ColweaveError } from '../core/errors.ts';
import type { RunCacheTask } from './fetch-types.ts';
import { cacheFolder } from './with-cache.ts';

/** Errors: cache/not-private, cache/unusable. */
export const runCacheTask: RunCacheTask = async ({ task, cache, limits }, { emit, signal }) => {
  const named = cacheFolder(cache, true);
  if (named === undefined)
    throw new ColweaveError('usage/bad-option', 'the cache is off', { hint: 'name it with --cache DIR' });
  const job = openCache({ folder: named, offline: true, always: true });
  const { access } = job;
  const { folder } = access;
  try {
    if (task === 'ls') return { task, folder, files: listCache(access) };
    if (task === 'gc') {
      if (!access.writable)
        throw new ColweaveError('cache/unusable', 'entries may not be removed', { where: [folder] });
      return { task, folder, ...collectGarbage(access, limits) };
    }
    const told = (done: number, total: number) => emit({ type: 'progress', stage: 'check', done, total });
    return { task, folder, ...checkCache(access, told, signal) };
  } finally {
    job.close();
  }
};
