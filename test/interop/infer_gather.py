"""Jets x constituents of a real file with PF candidates: the tensor that a model file's gather makes equals what awkward makes of the same columns."""
import json
import os
import subprocess
import tempfile

import awkward as ak
import numpy as np
import uproot

from common import DATA, TOP, case, finish, node, skip

PAD = 64
FILE = os.path.join(DATA, "pfnano.root")
FROM = ["PFCands_pt", "PFCands_eta", "PFCands_phi", "PFCands_charge"]
PAIR = ["JetPFCands_btagEtaRel", "JetPFCands_pt"]
MODEL = """model: tagger
per: {of}
inputs:
  C:
    columns: [{columns}]
    gather: {{from: PFCands, index: {of}PFCands_pFCandsIdx, group: {of}PFCands_jetIdx, of: {of}, pad: {pad}}}
    fill: -7
    {more}
    mask: M
outputs: {{y: y}}
"""


def tensors(of, columns, pad, more=""):
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model.yaml")
        with open(model, "w") as out:
            out.write(MODEL.format(of=of, columns=", ".join(columns), pad=pad, more=more))
        script = os.path.join(TOP, "test", "interop", "infer_tensors.ts")
        done = subprocess.run([node(), "--no-warnings", script, FILE, model, folder], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-1500:]
        return {name: np.fromfile(os.path.join(folder, f"{name}.f32"), np.float32).reshape(shape) for name, shape in json.loads(done.stdout).items()}


def expected(of, columns, pad, by=None):
    """With awkward alone: pairs of each jet by its index, constituents by theirs."""
    names = {*columns, f"{of}PFCands_pFCandsIdx", f"{of}PFCands_jetIdx", f"n{of}", *([by] if by else [])}
    events = uproot.open(FILE)["Events"].arrays(list(names))
    index, jet = events[f"{of}PFCands_pFCandsIdx"], events[f"{of}PFCands_jetIdx"]
    jets = ak.local_index(ak.Array([range(n) for n in events[f"n{of}"]]))
    # events x jets x pairs: which pairs belong to which jet
    mine = jets[:, :, np.newaxis] == jet[:, np.newaxis, :]

    def by_jet(name):
        level = events[name][index] if name.startswith("PFCands_") else events[name]
        return ak.flatten((level[:, np.newaxis, :] + ak.zeros_like(mine, dtype=np.float32))[mine], axis=1)

    order = None if by is None else ak.argsort(by_jet(by), axis=1, ascending=False, stable=True)
    found = []
    for name in columns:
        rows = by_jet(name) if order is None else by_jet(name)[order]
        found.append(ak.to_numpy(ak.fill_none(ak.pad_none(rows, pad, axis=1, clip=True), -7)).astype(np.float32))
    counts = ak.to_numpy(ak.num(by_jet(columns[0]), axis=1))
    return {"C": np.stack(found, axis=2), "M": (np.arange(pad) < counts[:, None]).astype(np.float32)}


def same(of, columns, pad, more="", by=None):
    got, want = tensors(of, columns, pad, more), expected(of, columns, pad, by)
    for name in ("C", "M"):
        assert got[name].shape == want[name].shape, f"{name}: {got[name].shape}, awkward has {want[name].shape}"
        assert np.array_equal(got[name], want[name], equal_nan=True), f"{name}: {np.sum(got[name] != want[name])} values differ"
    assert want["M"].sum() > 500, "too few constituents to prove anything"


CASES = {
    "jets by constituents, in the order of the file": ("Jet", FROM, PAD),
    "columns of the pair beside columns of the constituent": ("Jet", FROM + PAIR, PAD),
    "jets with more constituents than the padding, hardest first": ("Jet", FROM, 8, "order: {by: PFCands_pt}", "PFCands_pt"),
    "fat jets": ("FatJet", FROM, PAD),
}
for label, words in CASES.items():
    if not os.path.exists(FILE):
        skip(label, "../shared/data/pfnano.root is not there")
        continue
    with case(label):
        same(*words)
finish()
