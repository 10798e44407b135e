import { oracle } from './harness.ts';

oracle('traps.py');
