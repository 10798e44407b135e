#!/usr/bin/env python3
"""Makes systematic variations of a bench friend: make_variations.py FRIEND_DIR WORK_DIR N writes WORK_DIR/v1_0.root ... vN_0.root, each
with all events of the friend; dnn_score and Jet_corr_pt differ between them, the other columns are equal."""
import glob
import os
import sys

import awkward as ak
import numpy as np
import uproot

CLUSTER_EVENTS = 50_000


def main(friend, work, count):
    files = sorted(glob.glob(os.path.join(friend, "*.root")))
    events = uproot.concatenate([f"{path}:Events" for path in files])
    jets = [name for name in events.fields if name.startswith("Jet_")]
    flat = [name for name in events.fields if name not in jets and name != "nJet"]
    for v in range(1, count + 1):
        path = os.path.join(work, f"v{v}_0.root")
        if os.path.exists(path):
            continue
        scale = np.float32(1 + 0.01 * v)
        varied = {name: events[name] for name in events.fields}
        varied["dnn_score"] = ak.values_astype(events["dnn_score"] * scale, "f4")
        varied["Jet_corr_pt"] = ak.values_astype(events["Jet_corr_pt"] * scale, "f4")
        columns = {name: varied[name] for name in flat} | {"Jet": ak.zip({name[4:]: varied[name] for name in jets})}
        with uproot.recreate(path + ".part", compression=uproot.ZSTD(5)) as f:
            f.mktree("Events", {name: column.type.content for name, column in columns.items()}, counter_name=lambda name: "n" + name)
            for start in range(0, len(events), CLUSTER_EVENTS):
                f["Events"].extend({name: column[start:start + CLUSTER_EVENTS] for name, column in columns.items()})
        os.rename(path + ".part", path)


main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
