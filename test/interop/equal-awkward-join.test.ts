import { oracle } from './harness.ts';

oracle('equal_awkward_join.py');
