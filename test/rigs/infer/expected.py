"""The truth for test/rigs/infer-scores.test.ts and infer-million.ts, from the columns alone: `tensors` reads NanoAOD with uproot and makes each model's inputs with awkward and numpy;
`score` runs them through onnxruntime in Python (that step needs the rig's environment); `compare` reads colweave's Parquet with pyarrow and compares by event key.
usage: expected.py tensors OUT.npz FILE...     expected.py score MODELS IN.npz OUT.npz [MODEL,...]     expected.py compare IN.npz MODEL FILE.parquet"""
import sys

import numpy as np

PAD = 20
# rows at a time: what a million need between the layers would not fit
BLOCK = 1000
# the first that the files have all columns of: those of fixtures/, those of test/bench/make_data.py
FLATS = [[("bunchCrossing", lambda x: 0.0003 * x), "genWeight", "Generator_x1", "Generator_x2", ("Pileup_nTrueInt", lambda x: 0.02 * x - 1),
        ("PV_npvs", lambda x: 0.02 * x), ("PV_npvsGood", lambda x: 0.02 * x), ("MET_pt", np.log1p), "MET_phi", "HLT_IsoMu24", "HLT_Ele32_WPTight_Gsf", "HLT_PFHT1050",
        "Flag_goodVertices", "nJet", "nMuon", ("nGenPart", lambda x: np.minimum(x, 4)), "odd_b1", ("odd_u1", lambda x: 0.004 * x), ("odd_i1", lambda x: 0.008 * x),
        ("odd_i2", lambda x: 0.00003 * x)],
         ["genWeight", ("Pileup_nTrueInt", lambda x: 0.05 * x - 1.5), ("Pileup_nPU", lambda x: 0.05 * x - 1.5), ("PV_npvs", lambda x: 0.05 * x - 1.5), ("PV_x", lambda x: 10 * x),
          ("PV_z", lambda x: 0.25 * x), ("fixedGridRhoFastjetAll", lambda x: 0.05 * x - 1), ("MET_pt", np.log1p), "MET_phi", ("MET_sumEt", np.log1p), "HLT_IsoMu24", "HLT_IsoMu27",
          "HLT_Ele32_WPTight_Gsf", "HLT_Mu50", "HLT_PFMET120_PFMHT120_IDTight", "HLT_PFHT1050", "HLT_Ele115_CaloIdVT_GsfTrkIdT", "HLT_Photon200", ("nJet", lambda x: 0.2 * x), "nMuon"]]
JETS = [("Jet_pt", np.log), "Jet_eta", "Jet_phi", ("Jet_mass", lambda x: np.minimum(np.log1p(x), 10)), ("Jet_jetId", lambda x: 0.5 * x), ("Jet_nConstituents", lambda x: 0.02 * x)]
COLUMNS = {"mlp": ["mlp_score"], "bdt": ["bdt_0", "bdt_1"], "jettag": ["tag_b", "tag_c", "tag_l"], "edgeconv": ["edge_b", "edge_c", "edge_l"]}
# batches of other sizes add up in another order: the last digits of f32 differ
RELATIVE, ABSOLUTE = 1e-5, 1e-6


def tensors(out, files):
    import awkward as ak
    import uproot

    parts = []
    for path in files:
        events = uproot.open(f"{path}:Events").arrays()

        def column(spec):
            name, change = spec if isinstance(spec, tuple) else (spec, lambda x: x)
            return change(ak.values_astype(events[name], np.float64))

        chosen = next(flat for flat in FLATS if all((spec if isinstance(spec, str) else spec[0]) in events.fields for spec in flat))
        first = ak.argsort(events["Jet_pt"], ascending=False, stable=True)
        cut = [ak.fill_none(ak.pad_none(column(spec)[first], PAD, clip=True), 0.0) for spec in JETS]
        parts.append({"keys": np.stack([ak.to_numpy(events[k]).astype(np.uint64) for k in ("run", "luminosityBlock", "event")], 1),
                      "flat": np.stack([ak.to_numpy(column(spec)) for spec in chosen], 1).astype(np.float32),
                      "jets": np.stack([ak.to_numpy(ak.to_regular(c)) for c in cut], 2).astype(np.float32),
                      "mask": (np.arange(PAD) < ak.to_numpy(ak.num(events["Jet_pt"]))[:, None]).astype(np.float32)})
    np.savez(out, **{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


def score(models, given, out, names="mlp,bdt,jettag,edgeconv"):
    import onnxruntime

    x = np.load(given)
    feeds = {"mlp": {"X": x["flat"]}, "bdt": {"X": x["flat"]}, "jettag": {"jets": x["jets"], "mask": x["mask"]}, "edgeconv": {"jets": x["jets"]}}
    outputs = {"mlp": "score", "bdt": "probabilities", "jettag": "probs", "edgeconv": "probs"}

    def found(name):
        session = onnxruntime.InferenceSession(f"{models}/{name}/1/model.onnx")
        starts = range(0, len(x["keys"]), BLOCK)
        return np.concatenate([session.run([outputs[name]], {k: v[at:at + BLOCK] for k, v in feeds[name].items()})[0] for at in starts])

    np.savez(out, keys=x["keys"], **{name: found(name) for name in names.split(",")})


def compare(given, model, path):
    import pyarrow.parquet as pq

    truth = np.load(given)
    table = pq.read_table(path)
    rows = {tuple(key): i for i, key in enumerate(truth["keys"].tolist())}
    assert len(rows) == len(truth["keys"]), "keys of the truth repeat"
    got = np.stack([table[name].to_numpy() for name in COLUMNS[model]], 1)
    keys = list(zip(*(table[k].to_pylist() for k in ("run", "luminosityBlock", "event"))))
    assert len(keys) == len(rows) and set(keys) == set(rows), f"{len(keys)} events, {len(rows)} in the truth"
    want = truth[model][[rows[key] for key in keys]]
    assert got.dtype == np.float32 and got.shape == want.shape, f"{got.dtype} {got.shape}"
    apart = np.abs(got - want)
    assert np.all(apart <= ABSOLUTE + RELATIVE * np.abs(want)), f"{model}: {apart.max()} apart"
    # a score that many events share would prove nothing of who got it
    print(f"{model}: {len(keys)} events, {len(np.unique(want, axis=0))} different scores, at most {apart.max():.2e} apart")


if __name__ == "__main__":
    what, *words = sys.argv[1:]
    if what == "tensors":
        tensors(words[0], words[1:])
    else:
        {"score": score, "compare": compare}[what](*words)
