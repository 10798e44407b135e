// Preloaded into colweave by transcripts: sends $SIGNAL_AT_PART to itself as soon as a part file is there, in mid-join.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';

const { open } = fs.promises;
fs.promises.open = async (path, ...rest) => {
  const handle = await open(path, ...rest);
  if (String(path).endsWith('.part')) process.kill(process.pid, process.env.SIGNAL_AT_PART);
  return handle;
};
syncBuiltinESMExports();
