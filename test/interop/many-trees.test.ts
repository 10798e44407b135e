import { oracle } from './harness.ts';

oracle('many_trees.py');
