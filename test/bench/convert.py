"""ROOT to Parquet by uproot and awkward, file by file: what DuckDB, polars and pyarrow need first.  --out DIR gets primary/ and friend/"""
import os
import warnings

import awkward as ak
import uproot

from common import arguments, payload_names

warnings.filterwarnings("ignore")
given = arguments()
for role, paths in (("primary", given.primary), ("friend", given.friend)):
    folder = os.path.join(given.out, role)
    os.makedirs(folder, exist_ok=True)
    for i, path in enumerate(paths):
        with uproot.open(path) as file:
            table = file[given.tree].arrays(payload_names(path, given.tree))
        ak.to_parquet(table, os.path.join(folder, f"{i:04d}.parquet"), compression="zstd", compression_level=None, list_to32=True, extensionarray=False)
