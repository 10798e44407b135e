// The entry of the built program: command line in the main thread, worker elsewhere. Tiny, so that either role loads only its own.
import { setFlagsFromString } from 'node:v8';
import { addTally, type Tally, takeTally } from '../bytes/counted.ts';
import { isPoolWorker, serveJobs, setCounting, setWorkerEntry } from '../pool/pool.ts';

// columns lie outside the heap, and V8 takes them for a sign that much of the heap is garbage: in a heap of 15 MB it
// would look for it every 10 MB of columns, for a tenth of all CPU time
setFlagsFromString('--heap-growing-percent=400');
setCounting({ take: takeTally, add: (counted) => addTally(counted as Tally) });
if (isPoolWorker()) {
  serveJobs({
    keys: async () => (await import('../join/key-jobs.ts')).registerKeyJobs(),
    join: async () => (await import('../join/work.ts')).registerJoinJobs(),
    check: async () => (await import('../verify/work.ts')).registerVerifyJobs(),
  });
} else {
  setWorkerEntry(new URL(import.meta.url));
  const { runProgram } = await import('./run-program.ts');
  await runProgram(process.argv.slice(2));
}
