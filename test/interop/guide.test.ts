import { oracle } from './harness.ts';

oracle('guide.py');
