// The entry of the built program: command line in the main thread, worker elsewhere. Tiny, so that either role loads only its own.
import { addTally, type Tally, takeTally } from '../bytes/counted.ts';
import { isPoolWorker, registerJob, serveJobs, setCounting, setWorkerEntry } from '../pool/pool.ts';

setCounting({ take: takeTally, add: (counted) => addTally(counted as Tally) });
if (isPoolWorker()) {
  const { registerJoinJobs } = await import('../join/work.ts');
  registerJoinJobs();
  registerJob('seal/set-up', async (setUp) => ({
    output: await (await import('../verify/work.ts')).setUpSealing(setUp),
  }));
  registerJob('seal/range', async (range) => ({ output: await (await import('../verify/work.ts')).sealHere(range) }));
  serveJobs();
} else {
  setWorkerEntry(new URL(import.meta.url));
  const { runProgram } = await import('./run-program.ts');
  await runProgram(process.argv.slice(2));
}
