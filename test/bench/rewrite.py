"""Writes the table of a joined file again as pyarrow does by default with zstd, and tells the sizes.  rewrite.py JOINED FOLDER"""
import json
import os
import sys

import pyarrow.parquet as pq

from common import ROW_GROUP_ROWS

joined, folder = sys.argv[1:]
table = pq.read_table(joined)
sizes = {}
for name, options in (("smallGroups", {"row_group_size": ROW_GROUP_ROWS}), ("standard", {})):
    out = os.path.join(folder, f"rewritten-{name}.parquet")
    pq.write_table(table, out, compression="zstd", **options)
    sizes[name] = os.path.getsize(out)
    os.remove(out)
print(json.dumps({"columns": table.num_columns, "rows": table.num_rows, **sizes}))
