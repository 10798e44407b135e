import { oracle } from './harness.ts';

oracle('coffea_fileset.py');
