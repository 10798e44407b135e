import { oracle } from './harness.ts';

oracle('where_awkward.py');
