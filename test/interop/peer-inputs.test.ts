import { oracle } from './harness.ts';

oracle('peer_inputs.py');
