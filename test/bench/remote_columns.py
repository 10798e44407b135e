# Times uproot reading a few columns of files over the network, as remote-columns.ts times ours, and says how many bytes a reader needs:
# those of their baskets, and with the counters of lists, the tree's own object and the streamer infos.
#   python remote_columns.py COLUMN,COLUMN FILES...
import hashlib
import json
import sys
import time

import awkward as ak
import numpy as np
import uproot

wanted = sys.argv[1].split(",")
digest = hashlib.sha256()
events = baskets = needed = 0


def add(layout):
    if hasattr(layout, "offsets"):
        digest.update(layout.offsets.data.astype("<i4").tobytes())
        add(layout.content)
    else:
        digest.update(np.ascontiguousarray(layout.data).tobytes())


start = time.perf_counter()
for file in sys.argv[2:]:
    with uproot.open(file) as opened:
        tree = opened["Events"]
        own = [name for name in wanted if name in tree]
        arrays = tree.arrays(own, how=dict)
        counters = {leaf.member("fLeafCount").member("fName") for name in own for leaf in tree[name].member("fLeaves") if leaf.member("fLeafCount") is not None}
        baskets += sum(tree[name].compressed_bytes for name in own)
        needed += sum(tree[name].compressed_bytes for name in {*own, *counters})
        needed += opened.key("Events").fNbytes + opened.file._fNbytesInfo
        for name in own:
            add(ak.to_packed(arrays[name]).layout)
        events += tree.num_entries
seconds = time.perf_counter() - start
print(json.dumps({"what": f"uproot {uproot.__version__}", "seconds": seconds, "events": events, "sum": digest.hexdigest()[:16], "baskets": baskets, "needed": needed}))
