import { oracle } from './harness.ts';

oracle('coffea_nano.py');
