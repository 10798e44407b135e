import { oracle } from './harness.ts';

oracle('equal_uproot.py');
