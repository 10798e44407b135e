#!/usr/bin/env python3
"""--where against awkward on real files: 30 expressions, each written for both; the events kept must be the same ones, in order."""
from common import *  # noqa: F403

# file, expression of colweave, the same for awkward (e: the events)
CASES = [
    ("nano_dy", "nMuon >= 2", lambda e: e.nMuon >= 2),
    ("nano_dy", "nMuon == 2 and nJet > 1", lambda e: (e.nMuon == 2) & (e.nJet > 1)),
    ("nano_dy", "MET_pt > 30.1", lambda e: e.MET_pt > 30.1),
    ("nano_dy", "any(Muon_pt > 20)", lambda e: ak.any(e.Muon_pt > 20, axis=1)),
    ("nano_dy", "all(Jet_pt > 20)", lambda e: ak.all(e.Jet_pt > 20, axis=1)),
    ("nano_dy", "count(Jet_pt > 30) >= 2", lambda e: ak.sum(e.Jet_pt > 30, axis=1) >= 2),
    ("nano_dy", "count(Jet_pt > 30 and abs(Jet_eta) < 2.4) >= 2", lambda e: ak.sum((e.Jet_pt > 30) & (np.abs(e.Jet_eta) < 2.4), axis=1) >= 2),
    ("nano_dy", "len(Jet_pt) == nJet", lambda e: ak.num(e.Jet_pt) == e.nJet),
    ("nano_dy", "sum(Jet_pt) > 200", lambda e: ak.sum(e.Jet_pt, axis=1) > 200),
    ("nano_dy", "any(Muon_tightId and Muon_pt > 25)", lambda e: ak.any(e.Muon_tightId & (e.Muon_pt > 25), axis=1)),
    ("nano_dy", "any(Muon_charge * Muon_pt < -30)", lambda e: ak.any(e.Muon_charge * e.Muon_pt < -30, axis=1)),
    ("nano_dy", "event % 2 == 0", lambda e: e.event % 2 == 0),
    ("nano_dy", "luminosityBlock > 0 and not (nJet == 0 or nMuon == 0)", lambda e: (e.luminosityBlock > 0) & ~((e.nJet == 0) | (e.nMuon == 0))),
    ("nano_dy", "MET_pt / PV_npvs > 0.7", lambda e: e.MET_pt / e.PV_npvs > 0.7),
    ("nano_dy", "max(Jet_pt) > 45.5", lambda e: ak.fill_none(ak.max(e.Jet_pt, axis=1) > 45.5, False)),
    ("nano_tt_v12", "nJet >= 4 and nMuon + nElectron >= 1", lambda e: (e.nJet >= 4) & (e.nMuon + e.nElectron >= 1)),
    ("nano_dy", "HLT_IsoMu24 or HLT_Ele30_WPTight_Gsf", lambda e: e.HLT_IsoMu24 | e.HLT_Ele30_WPTight_Gsf),
    ("nano_dy", "HLT_IsoMu24 == 1 && !HLT_Ele30_WPTight_Gsf", lambda e: (e.HLT_IsoMu24 == 1) & ~e.HLT_Ele30_WPTight_Gsf),
    ("nano_tt_v12", "Generator_x1 * Generator_x2 * 13000 * 13000 > 200000", lambda e: e.Generator_x1 * e.Generator_x2 * 13000 * 13000 > 200000),
    ("nano_tt_v12", "any(Jet_pt > MET_pt)", lambda e: ak.any(e.Jet_pt > e.MET_pt, axis=1)),
    ("nano_tt_v12", "count(abs(GenPart_pdgId) == 6) == 2", lambda e: ak.sum(np.abs(e.GenPart_pdgId) == 6, axis=1) == 2),
    ("nano_tt_v12", "min(Jet_pt) < 16", lambda e: ak.fill_none(ak.min(e.Jet_pt, axis=1) < 16, False)),
    ("nano_tt_v12", "any(Jet_btagDeepFlavB > 0.2783 and Jet_pt > 30)", lambda e: ak.any((e.Jet_btagDeepFlavB > 0.2783) & (e.Jet_pt > 30), axis=1)),
    ("nano_tt_v12", "PV_z > -1.5e0 and PV_z < .5", lambda e: (e.PV_z > -1.5) & (e.PV_z < 0.5)),
    ("pfnano", "sum(Jet_pt * Jet_pt) > 10000", lambda e: ak.sum(e.Jet_pt * e.Jet_pt, axis=1) > 10000),
    ("pfnano", "n(Jet_pt) > 3 and max(abs(Jet_eta)) < 3", lambda e: (ak.num(e.Jet_pt) > 3) & ak.fill_none(ak.max(np.abs(e.Jet_eta), axis=1) < 3, False)),
    ("nanoAOD_2015_CMS_Open_Data_ttbar", "nJet > 5 and MET_phi < 0", lambda e: (e.nJet > 5) & (e.MET_phi < 0)),
    ("nanoAOD_2015_CMS_Open_Data_ttbar", "count(Jet_pt - Jet_mass > 50) >= 3", lambda e: ak.sum(e.Jet_pt - e.Jet_mass > 50, axis=1) >= 3),
    ("Run2012B_SingleMu_1000", "run == run and nMuon != 1", lambda e: (e.run == e.run) & (e.nMuon != 1)),
    ("Run2012B_SingleMu_1000", "any(Muon_pt / 2 > 13 and Muon_eta < 1)", lambda e: ak.any((e.Muon_pt / 2 > 13) & (e.Muon_eta < 1), axis=1)),
]
COLUMNS = re.compile(r"[A-Za-z_]\w*")


def columns_of(text, tree):
    return sorted({word for word in COLUMNS.findall(text) if word in tree.keys()} | set(KEYS))


def check(name, text, truth, scratch):
    path = os.path.join(DATA, name + ".root")
    with uproot.open(path) as f:
        tree = f["Events"]
        events = tree.arrays(columns_of(text, tree))
    want = np.asarray(truth(events))
    out = os.path.join(scratch, "skim.parquet")
    done = join(path, "--where", text, "-c", "run", "-o", out, "-f", "--json")
    kept = pq.read_table(out)
    for key in KEYS:
        assert kept[key].to_numpy().tolist() == np.asarray(events[key])[want].tolist(), f"other events: {kept.num_rows}, awkward keeps {want.sum()} of {len(want)}"
    flow = json.loads(done.stdout.strip().splitlines()[-1])["plan"]["selection"]
    assert flow["rows"] == len(want) and flow["terms"][-1]["rows"] == int(want.sum()), flow
    verified = run("verify", out, "--against", path)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    return f"{want.sum()} of {len(want)}"


def main():
    scratch = tempfile.mkdtemp()
    kept = []
    try:
        for name, text, truth in CASES:
            if not os.path.exists(os.path.join(DATA, name + ".root")):
                skip(f"where {text} on {name}", "no ../shared/data")
                continue
            with case(f"where {text} on {name}") as notes:
                notes.append(check(name, text, truth, scratch))
                kept.append(notes[-1])
        with case("the expressions cut: most keep some events and lose some"):
            some = [line for line in kept if not line.startswith("0 of") and line.split(" of ")[0] != line.split(" of ")[1]]
            assert not kept or len(some) >= 0.7 * len(kept), kept
    finally:
        shutil.rmtree(scratch)


main()
finish()
