#!/usr/bin/env python3
"""What analysts do with many datasets: `join --fileset` takes the JSON they have for coffea's Runner, and Runner(format="parquet") takes the
JSON that comes out, unchanged. The histograms must be those of Runner on the ROOT files. Two datasets of real events, cut by ROOT into five files,
and friends in another order and grouping; and the overlap of two primary datasets against awkward."""
from coffea import processor
from coffea.nanoevents import NanoAODSchema
import hist

from common import *  # noqa: F403
import common

NanoAODSchema.warn_missing_crossrefs = False
SAMPLES = {"DY": ("nano_dy", 3), "TTbar": ("nano_tt_v12", 2)}


def cut(d, name, pieces):
    """the events of a real file in several, each basket as ROOT copies it"""
    import ROOT

    source = ROOT.TFile.Open(os.path.join(DATA, name + ".root"))
    tree = source.Get("Events")
    tree.SetBranchStatus("*", 0)
    for branch in tree.GetListOfBranches():
        if re.match(r"(run|luminosityBlock|event|n?(Jet|Muon|Electron|GenPart)(_.*)?|MET_.*|genWeight|HLT_IsoMu24)$", branch.GetName()):
            tree.SetBranchStatus(branch.GetName(), 1)
    entries, paths = tree.GetEntries(), []
    for i in range(pieces):
        first, last = entries * i // pieces, entries * (i + 1) // pieces
        path = os.path.join(d, f"{name}_{i}.root")
        out = ROOT.TFile(path, "RECREATE")
        tree.CopyTree("", "", last - first, first).Write()
        out.Close()
        paths.append(path)
    source.Close()
    return paths


def friends(d, name, paths):
    """Jet_pt times two and a number of the event, all files together, shuffled, in two files: grouped as no other file is"""
    parts = [read_tree(p, "Events", KEYS + ["Jet_pt"]) for p in paths]
    t = {k: ak.concatenate([p[k] for p in parts]) for k in parts[0]}
    order = np.random.default_rng(len(name)).permutation(len(t["run"]))
    out = []
    for i, rows in enumerate(np.array_split(order, 2)):
        path = os.path.join(d, f"friend_{name}_{i}.root")
        with uproot.recreate(path) as f:
            cols = {**{k: np.asarray(t[k])[rows] for k in KEYS}, "Jet": ak.zip({"pt": (t["Jet_pt"] * np.float32(2))[rows]}), "score": (np.asarray(t["event"])[rows] % 97).astype("f4")}
            f.mktree("Events", {k: (v.type if isinstance(v, ak.Array) else v.dtype) for k, v in cols.items()})
            f["Events"].extend(cols)
        out.append(path)
    return out


def described(path):
    """what preprocess says of a file: it needs dask to run, its form does not"""
    with uproot.open(path) as f:
        n = f["Events"].num_entries
        return {"object_path": "Events", "steps": [[a, min(n, a + 30)] for a in range(0, n, 30)], "num_entries": n, "uuid": f.file.uuid.hex}


class Analysis(processor.ProcessorABC):
    """leading jets of selected events, the friend's pt or what it stands for, by dataset"""

    def process(self, events):
        dataset = events.metadata["dataset"]
        scaled = events.Jet.pt_jes if "pt_jes" in events.Jet.fields else events.Jet.pt * np.float32(2)
        score = events.score_jes if "score_jes" in events.fields else (np.asarray(events.event) % 97).astype("f4")
        chosen = (ak.num(events.Jet) >= 2) & (events.MET.pt > 10)
        jets, scaled, score = events.Jet[chosen], scaled[chosen], np.asarray(score)[np.asarray(chosen)]
        mass = (jets[:, 0] + jets[:, 1]).mass
        h = hist.Hist.new.StrCat([], growth=True, name="dataset").Reg(40, 0, 400, name="mass").Reg(40, 0, 800, name="pt").Reg(10, 0, 100, name="score").Weight()
        h.fill(dataset=dataset, mass=mass, pt=scaled[:, 0], score=score, weight=events.genWeight[chosen])
        parents = ak.sum(ak.fill_none(events.GenPart.parent.pt, 0), axis=None)
        return {"h": h, "n": {dataset: len(events)}, "xsec": {dataset: events.metadata.get("xsec", 0)} , "parents": {dataset: float(np.round(parents, 1))}}

    def postprocess(self, accumulator):
        return accumulator


def analyse(fileset, format):
    run = processor.Runner(executor=processor.IterativeExecutor(status=False), format=format, schema=NanoAODSchema, chunksize=30)
    return run(fileset, processor_instance=Analysis(), treename=None)


def equal(got, want):
    assert got["n"] == want["n"] and got["n"]["DY"] > 0, (got["n"], want["n"])
    assert list(got["h"].axes[0]) == list(want["h"].axes[0])
    assert np.array_equal(got["h"].values(flow=True), want["h"].values(flow=True)) and want["h"].sum(flow=True).variance > 0, "histograms differ"
    assert got["parents"] == want["parents"], "cross-references differ"
    return f"{sum(got['n'].values())} events, {int(np.count_nonzero(want['h'].values(flow=True)))} bins filled"


def filesets(d):
    paths = {name: cut(d, source, pieces) for name, (source, pieces) in SAMPLES.items()}
    files = {name: {"files": {p: "Events" for p in ps}, "metadata": {"xsec": 6077.22 if name == "DY" else 831.8}} for name, ps in paths.items()}
    jes = {name: {"files": friends(d, name, ps)} for name, ps in paths.items()}
    for path, content in (("in.json", files), ("jes.json", jes)):
        with open(os.path.join(d, path), "w") as f:
            json.dump(content, f)
    return files, os.path.join(d, "in.json"), os.path.join(d, "jes.json")


def real(d):
    files, given, jes = filesets(d)
    want = analyse(files, "root")
    nano = ["--layout", "nano", "--drop-unreadable"]
    with case("Runner(format='parquet') on the fileset of --fileset, 2 datasets, 5 files: the histogram of Runner on ROOT") as notes:
        out = os.path.join(d, "out")
        join("--fileset", given, "--with", "jes:", jes, "--how", "inner", *nano, "-o", out + "/")
        path = os.path.join(out, "fileset.json")
        notes.append(equal(analyse(path, "parquet"), want))
        with open(path) as f:
            made = json.load(f)
        assert {k: (len(v["files"]), v["metadata"]) for k, v in made.items()} == {k: (len(v["files"]), v["metadata"]) for k, v in files.items()}
        for name in SAMPLES:
            verified(os.path.join(out, name), *files[name]["files"], *json.load(open(jes))[name]["files"])
            receipt = json.loads(pq.read_metadata(next(iter(made[name]["files"]))).metadata[b"colweave.receipt"])
            assert receipt["spec"]["sample"] == name, receipt["spec"]["sample"]
        before = {p: os.stat(p).st_mtime_ns for p in made["DY"]["files"]}
        join("--fileset", given, "--with", "jes:", jes, "--how", "inner", *nano, "-o", out + "/")
        assert before == {p: os.stat(p).st_mtime_ns for p in before}, "written again though up to date"
    with case("the same with --events-per-file 25: files of another grouping, within each dataset") as notes:
        out = os.path.join(d, "sized")
        join("--fileset", given, "--with", "jes:", jes, "--how", "inner", *nano, "--events-per-file", "25", "-o", out + "/")
        with open(os.path.join(out, "fileset.json")) as f:
            made = json.load(f)
        for name, member in made.items():
            rows = [pq.read_metadata(p).num_rows for p in member["files"]]
            assert rows[:-1] == [25] * (len(rows) - 1) and 0 < rows[-1] <= 25, rows
        notes.append(equal(analyse(made, "parquet"), want))
    with case("a fileset in the form of coffea's preprocess (its own DataGroupSpec), steps and all") as notes:
        from coffea.dataset_tools import DataGroupSpec

        steps = {name: {**m, "files": {p: described(p) for p in m["files"]}} for name, m in files.items()}
        path, out = os.path.join(d, "preprocessed.json"), os.path.join(d, "pre")
        with open(path, "w") as f:
            f.write(DataGroupSpec.model_validate(steps).model_dump_json())
        join("--fileset", path, "--with", "jes:", jes, "--how", "inner", *nano, "-o", out + "/")
        notes.append(equal(analyse(os.path.join(out, "fileset.json"), "parquet"), want))
    with case("a dataset with doubled events fails alone; the others are published, no fileset is, the rest is done later") as notes:
        bad, out = os.path.join(d, "bad.json"), os.path.join(d, "bad")
        doubled = {"Doubled": {"files": [os.path.join(FIXTURES, "hostile_duplicates.root")]}, **files}
        with open(bad, "w") as f:
            json.dump(doubled, f)
        done = run("join", "--fileset", bad, "-c", "event", "-o", out + "/")
        assert done.returncode == 1 and "failed: Doubled (1 of 3" in done.stdout, f"exit {done.returncode}: {(done.stdout + done.stderr)[-800:]}"
        assert not os.path.exists(os.path.join(out, "fileset.json")) and not os.path.exists(os.path.join(out, "Doubled")), os.listdir(out)
        assert os.path.exists(os.path.join(out, "DY", "_receipt.json"))
        done = join("--fileset", given, "-c", "event", "-o", out + "/")
        assert done.stdout.count("up to date") == 2 and "wrote" in done.stdout, done.stdout
        assert os.path.exists(os.path.join(out, "fileset.json"))
    with case("two overlapping primary datasets, first-by-source: awkward's own first occurrence, friend and all") as notes:
        dy = list(files["DY"]["files"])
        keys = [key_tuples(read_tree(p, "Events", KEYS + ["Jet_pt"])) for p in dy]
        pts = [read_tree(p, "Events", ["Jet_pt"])["Jet_pt"] for p in dy]
        mu, egamma = [dy[0], dy[1]], os.path.join(d, "egamma.root")
        import ROOT

        chain = ROOT.TChain("Events")
        for p in (dy[1], dy[2]):
            chain.Add(p)
        f = ROOT.TFile(egamma, "RECREATE")
        chain.CloneTree(-1).Write()
        f.Close()
        out = os.path.join(d, "pd.parquet")
        join("Mu:", *mu, "EGamma:", egamma, "--duplicates", "first-by-source", "--with", "jes:", *json.load(open(jes))["DY"]["files"], "-c", "Jet_pt,Jet_pt_jes", "-o", out)
        table = pq.read_table(out)
        assert list(zip(*(table[k].to_pylist() for k in KEYS))) == [k for part in keys for k in part], "events or their order"
        want_pt = ak.concatenate(pts)
        assert difference(table["Jet_pt"], want_pt) is None and difference(table["Jet_pt_jes"], want_pt * np.float32(2)) is None
        receipt = json.loads(pq.read_metadata(out).metadata[b"colweave.receipt"])
        assert receipt["sources"][0]["overlaps"] == [{"kept": "Mu", "dropped": "EGamma", "rows": len(keys[1])}], receipt["sources"][0]["overlaps"]
        verified(out, *mu, egamma, *json.load(open(jes))["DY"]["files"])
        refused("join/duplicate-key", 1, "Mu:", *mu, "EGamma:", egamma, out=os.path.join(d, "no.parquet"))
        refused("join/duplicate-key", 1, "Mu:", dy[0], "EGamma:", egamma, dy[1], "--duplicates", "first-by-source", out=os.path.join(d, "no.parquet"))
        notes.append(f"{len(keys[1])} events in both")


def freshness(d):
    with case("a file that pyarrow wrote again under its name, receipt kept, is not up to date: neither changed nor unchanged"):
        out, source = os.path.join(d, "kept.parquet"), os.path.join(FIXTURES, "nano_1.root")
        join(source, "-c", "MET_pt", "-o", out)
        assert "up to date" in join(source, "-c", "MET_pt", "-o", out).stdout
        table = pq.read_table(out).replace_schema_metadata({b"colweave.receipt": pq.read_metadata(out).metadata[b"colweave.receipt"]})
        for changed in (table, table.set_column(3, table.schema.field(3), pa.array(np.roll(table["MET_pt"].to_numpy(), 1))), table.slice(0, 50)):
            pq.write_table(changed, out)
            done = run("join", source, "-c", "MET_pt", "-o", out)
            assert done.returncode == 5 and "another program wrote it again" in done.stderr, done.stderr


def main():
    with scratch() as d:
        freshness(d)
        if os.path.isdir(DATA):
            real(d)
        else:
            skip("coffea's Runner on real files", f"no {os.path.relpath(DATA)}: set COLWEAVE_SHARED")


if __name__ == "__main__":
    main()
    common.finish()
