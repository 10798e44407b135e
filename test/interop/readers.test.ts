import { oracle } from './harness.ts';

oracle('readers.py');
