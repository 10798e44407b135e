// The entry of the built program: command line in the main thread, worker elsewhere. Tiny, so that either role loads only its own.
import { isPoolWorker, serveJobs, setWorkerEntry } from '../pool/pool.ts';

if (isPoolWorker()) {
  serveJobs({
    join: async () => (await import('../join/work.ts')).registerJoinJobs(),
    check: async () => (await import('../verify/work.ts')).registerVerifyJobs(),
  });
} else {
  setWorkerEntry(new URL(import.meta.url));
  const { runProgram } = await import('./run-program.ts');
  await runProgram(process.argv.slice(2));
}
