import { oracle } from './harness.ts';

oracle('infer_gather.py');
