import { oracle } from './harness.ts';

oracle('equal_duckdb.py');
