#!/usr/bin/env python3
"""Writes a tree in NanoAOD's layout with uproot, large enough that columns weigh more than metadata.

make_cached.py OUT.root [EVENTS [SEED]]: with a seed nothing is compressed, so that files of other seeds are as long and hold other values
"""
import sys

import awkward as ak
import numpy as np
import uproot

COLLECTIONS = {"Jet": 4, "Muon": 1, "Electron": 1, "Photon": 1, "FatJet": 1, "GenPart": 6, "Tau": 1, "SV": 2}
FIELDS = ("pt", "eta", "phi", "mass", "score")
STEPS = 4

target = sys.argv[1]
events = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
plain = len(sys.argv) > 3
shape = np.random.default_rng(1)
random = np.random.default_rng(int(sys.argv[3]) if plain else 2)
step = events // STEPS

types = {"run": "uint32", "luminosityBlock": "uint32", "event": "uint64", "MET_pt": "float32", "MET_phi": "float32"}
types |= {name: ak.types.from_datashape(f'var * {{{", ".join(f"{f}: float32" for f in FIELDS)}}}', highlevel=False) for name in COLLECTIONS}

with uproot.recreate(target, compression=None if plain else uproot.ZSTD(1)) as file:
    tree = file.mktree("Events", types, initial_basket_capacity=STEPS)
    for i in range(STEPS):
        numbers = np.arange(i * step, (i + 1) * step)
        block = {
            "run": np.ones(step, "u4"),
            "luminosityBlock": (numbers // 100 + 1).astype("u4"),
            "event": (numbers + 2**53).astype("u8"),
            "MET_pt": random.exponential(30, step).astype("f4"),
            "MET_phi": random.uniform(-3, 3, step).astype("f4"),
        }
        for name, mean in COLLECTIONS.items():
            counts = shape.poisson(mean, step)
            total = int(counts.sum())
            block[name] = ak.unflatten(ak.zip({f: random.normal(0, 50, total).astype("f4") for f in FIELDS}), counts)
        tree.extend(block)
