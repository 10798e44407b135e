# The peer of remote.ts: uproot reads columns (and the key, as a join does) of URLs. Prints seconds without imports, and bytes needed.
#   remote_uproot.py COLUMNS URL...
import json
import sys
import time

import uproot

KEY = ["run", "luminosityBlock", "event"]
columns = list(dict.fromkeys(KEY + sys.argv[1].split(",")))
start = time.perf_counter()
rows = needed = 0
for url in sys.argv[2:]:
    with uproot.open(url) as file:
        tree = file["Events"]
        leaves = [leaf.member("fLeafCount") for name in columns for leaf in tree[name].member("fLeaves")]
        counters = {leaf.member("fName") for leaf in leaves if leaf is not None}
        needed += sum(tree[name].compressed_bytes for name in {*columns, *counters})
        needed += file.key("Events").fNbytes + file.file._fNbytesInfo
        rows += len(tree.arrays(columns))
print(json.dumps({"reading": round(time.perf_counter() - start, 3), "rows": rows, "needed": needed}))
