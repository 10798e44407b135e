import { oracle } from './harness.ts';

oracle('equal_liblzma.py');
