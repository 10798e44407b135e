// The fast test run of `npm test`: everything but interop, which needs Python peers.
import { defineConfig } from 'vitest/config';

/** They put mocks in the place of modules, or ask what the process is: the modules of other files must not be loaded there. */
const ALONE = [
  'test/faults.test.ts',
  'test/unit/bench-measure.test.ts',
  'test/unit/crew.test.ts',
  'test/unit/sink-part-file.test.ts',
];
const NOT_HERE = ['test/interop/**', 'test/long/**', 'test/rigs/**'];

export default defineConfig({
  test: {
    root: '.',
    env: { COLWEAVE_THREAD_BYTES: '0' }, // as many threads as asked for, of little data too
    testTimeout: 30_000,
    maxWorkers: '100%', // vitest leaves one core alone: half of two
    projects: [
      { extends: true, test: { name: 'alone', include: ALONE } },
      // the same modules are loaded once a worker, not once a file: a tenth of the time
      {
        extends: true,
        test: { name: 'together', include: ['test/**/*.test.ts'], exclude: [...NOT_HERE, ...ALONE], isolate: false },
      },
    ],
  },
});
