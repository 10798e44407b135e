import { oracle } from './harness.ts';

oracle('equal_objects.py');
