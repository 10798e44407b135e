// The fast test run of `npm test`: everything but interop, which needs Python peers.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: '.',
    env: { COLWEAVE_THREAD_BYTES: '0' }, // as many threads as asked for, of little data too
    include: ['test/**/*.test.ts'],
    exclude: ['test/interop/**', 'test/long/**', 'test/rigs/**'],
    testTimeout: 30_000,
    maxWorkers: '100%', // vitest leaves one core alone: half of two
  },
});
