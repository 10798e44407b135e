// The rigs' run: real servers, started by scripts of test/rigs on loopback; one file at a time, since they share two cores.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: '.',
    env: { COLWEAVE_THREAD_BYTES: '0' }, // as many threads as asked for, of little data too
    include: ['test/rigs/**/*.test.ts'],
    testTimeout: 300_000,
    hookTimeout: 600_000,
    fileParallelism: false,
  },
});
