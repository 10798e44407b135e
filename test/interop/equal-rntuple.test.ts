import { oracle } from './harness.ts';

oracle('equal_rntuple.py');
