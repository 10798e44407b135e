// The interop run: our output read by uproot, awkward, pyarrow, DuckDB, polars and coffea.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: '.',
    env: { COLWEAVE_THREAD_BYTES: '0' }, // as many threads as asked for, of little data too
    include: ['test/interop/**/*.test.ts'],
    testTimeout: 600_000,
    fileParallelism: false,
  },
});
