// Owns ending a child with all that it started: its process group gets the signal that we got.
import type { ChildProcess } from 'node:child_process';

/** Returns what takes the listener away again. */
export function spreadSignal(child: ChildProcess, signal: AbortSignal): () => void {
  const end = () => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, 'SIGTERM');
    } catch {
      // it has ended already
    }
  };
  signal.addEventListener('abort', end);
  return () => signal.removeEventListener('abort', end);
}
