// Owns what this process may use: threads, by batch slot, cgroup or cores.
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';

/** $SLURM_CPUS_PER_TASK, HTCondor's slot, the cgroup's quota, else the cores this process may run on. */
export function threadsHere(env: NodeJS.ProcessEnv = process.env): number {
  const named = [env.SLURM_CPUS_PER_TASK, env._CONDOR_NPROCS, env.OMP_NUM_THREADS]
    .map(Number)
    .find((count) => count >= 1);
  return Math.max(1, Math.floor(named ?? Math.min(quota() ?? Number.POSITIVE_INFINITY, availableParallelism())));
}

/** Cores by the quota of cgroup v2, where there is one. */
function quota(): number | undefined {
  try {
    const [limit, period] = readFileSync('/sys/fs/cgroup/cpu.max', 'utf8').trim().split(' ');
    return limit === 'max' ? undefined : Math.max(1, Number(limit) / Number(period));
  } catch {
    return undefined;
  }
}
