"""Looks at joined files: rows, rows whose chk is not the hash of their key, rows without chk, and whether runs and blocks are in order.
  check.py FILE...   prints one JSON line a file; chk may be absent (mixed is then null)"""
import json
import sys

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from common import KEY, hash_of_key


def look(path):
    file = pq.ParquetFile(path)
    has_chk = "chk" in file.schema_arrow.names
    found = {"rows": 0, "mixed": 0 if has_chk else None, "missing": 0, "ordered": True}
    last = None
    for batch in file.iter_batches(columns=[*KEY, "chk"] if has_chk else list(KEY)):
        run, lumi, event = (batch[name].to_numpy() for name in KEY)
        found["rows"] += batch.num_rows
        block = (run.astype("i8") << 32) | lumi.astype("i8")
        steps = np.diff(block if last is None else np.concatenate([[last], block]))
        found["ordered"] = found["ordered"] and bool((steps >= 0).all())
        last = block[-1] if len(block) else last
        if has_chk:
            missing = pc.is_null(batch["chk"]).to_numpy(zero_copy_only=False)
            chk = pc.fill_null(batch["chk"], 0).to_numpy()
            found["missing"] += int(missing.sum())
            found["mixed"] += int(((hash_of_key(run, lumi, event) != chk) & ~missing).sum())
    return found


for name in sys.argv[1:]:
    print(json.dumps(look(name)), flush=True)
