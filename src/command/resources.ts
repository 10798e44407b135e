// Owns what this process may use: threads and memory, by batch slot, cgroup or machine.
import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';

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

/** Bytes: $SLURM_MEM_PER_NODE (MiB), HTCondor's $_CONDOR_REQUEST_MEMORY (MiB), the cgroup's limit, else half of the machine. */
export function memoryHere(env: NodeJS.ProcessEnv = process.env): number {
  const slot = [env.SLURM_MEM_PER_NODE, env._CONDOR_REQUEST_MEMORY].map(Number).find((mib) => mib > 0);
  if (slot !== undefined) return slot * 2 ** 20;
  return Math.min(memoryLimit() ?? Number.POSITIVE_INFINITY, totalmem() / 2);
}

function memoryLimit(): number | undefined {
  try {
    const limit = readFileSync('/sys/fs/cgroup/memory.max', 'utf8').trim();
    return limit === 'max' ? undefined : Number(limit);
  } catch {
    return undefined;
  }
}
