#!/usr/bin/env python3
"""Vectors, strings, element links, objects, event keys of EDM files and carried trees, compared with uproot, ROOT and awkward, bit by bit.
uproot 5.7 cannot read, or misreads, objects stored member by member: those are compared with what numpy takes out of the bytes, and with
the same rows written split. EDM rows are compared with the formula that made them (fixtures/edm.h)."""
import hashlib
import math
import struct

from common import *  # noqa: F403
import common

PHYSLITE = os.path.join(DATA, "PHYSLITE_example.root")
# uproot reads what is stored member by member as if it were object by object, and has no interpretation of a split base class
MEMBERWISE = "METAssoc_AnalysisMETAux.jetLink"
BASE_CLASS = "EventInfoAuxDyn.hardScatterVertexLink"


def bare(name):
    return re.sub(r"(\[[^\]]*\])+$", "", name)


def branch_of(tree, column):
    """(branch, members below it) of a column, by the naming rule: its own name where that is below the top branch's, else the path"""
    found = {}

    def walk(branch, top, path):
        own = bare(branch.name)
        if own != top and not own.startswith(top.rstrip(".") + "."):
            own = f"{path}/{own}"
        found[own] = branch                                  # of equal names the inner one, which holds the data
        for inner in branch.branches:
            walk(inner, top, own)

    for branch in tree.branches:
        walk(branch, bare(branch.name), "")
    at = max((n for n in found if column == n or column.startswith(n if n.endswith(".") else n + ".")), key=len)
    rest = column[len(at):].lstrip(".")
    return found[at], rest.split(".") if rest else []


def values_of(tree, column, cache):
    branch, members = branch_of(tree, column)
    if branch.name not in cache:
        cache.clear()
        cache[branch.name] = branch.array()
    array = cache[branch.name]
    for member in members:
        array = array[member if member in ak.fields(array) else {"first": "0", "second": "1"}[member]]
    return array


def against_uproot(path, tree, out, differs=()):
    """names equal; names that uproot cannot read"""
    table, cannot, equal, problems = pq.read_table(out), [], [], []
    with uproot.open(path) as f:
        cache = {}
        for name in table.column_names:
            if name.startswith(tuple(differs)):
                continue
            try:
                truth = values_of(f[tree], name, cache)
            except Exception:  # noqa: BLE001: whatever uproot raises, it cannot read the branch
                cannot.append(name)
                continue
            why = difference(table[name], truth)
            (problems if why else equal).append(f"{name}: {why}" if why else name)
    assert not problems, f"{len(problems)} of {len(table.column_names)} columns differ: " + "; ".join(problems[:6])
    return equal, cannot


def raw_entries(path, tree, name):
    """the bytes of each entry of a branch of one basket or several"""
    with uproot.open(path) as f:
        branch = [b for b in f[tree].itervalues() if b.name == name][-1]
        for k in range(branch.num_baskets):
            basket = branch.basket(k)
            offsets = basket.byte_offsets
            for i in range(len(offsets) - 1):
                yield bytes(basket.data[offsets[i]: offsets[i + 1]])


def physlite(d):
    out = os.path.join(d, "physlite.parquet")
    with case("PHYSLITE: every column that uproot reads is equal to it") as notes:
        join(PHYSLITE, "-o", out)
        equal, cannot = against_uproot(PHYSLITE, "CollectionTree", out, [MEMBERWISE])
        notes.append(f"{len(equal)} columns")
        assert len(equal) > 1100, f"only {len(equal)} columns"
        assert cannot == [BASE_CLASS + ".m_persKey", BASE_CLASS + ".m_persIndex"], cannot
    with case("PHYSLITE: links stored member by member, and those of a split base class, equal the bytes"):
        table = pq.read_table(out)
        keys, indices = [], []
        for entry in raw_entries(PHYSLITE, "CollectionTree", MEMBERWISE):
            count = struct.unpack(">i", entry[12:16])[0]
            keys.append(list(struct.unpack(f">{count}I", entry[16: 16 + 4 * count])))
            indices.append(list(struct.unpack(f">{count}I", entry[16 + 4 * count: 16 + 8 * count])))
            assert len(entry) == 16 + 8 * count
        assert table[MEMBERWISE + ".m_persKey"].to_pylist() == keys and table[MEMBERWISE + ".m_persIndex"].to_pylist() == indices
        pairs = [struct.unpack(">II", entry[10:18]) for entry in raw_entries(PHYSLITE, "CollectionTree", BASE_CLASS)]
        assert list(zip(table[BASE_CLASS + ".m_persKey"].to_pylist(), table[BASE_CLASS + ".m_persIndex"].to_pylist())) == pairs
    with case("PHYSLITE: what is left out holds nothing, and is named with its type") as notes:
        done = run("schema", PHYSLITE, "--json")
        listed = json.loads(done.stdout.splitlines()[-1])["files"][0]
        kinds = {}
        for one in listed["unreadable"]:
            kinds.setdefault(one["reason"], []).append(one)
        with uproot.open(PHYSLITE) as f:
            tops = {b.name for b in f["CollectionTree"].branches if not b.branches}
            read = {c["name"] for c in listed["columns"]}
            silent = [n for n in tops if n not in read and n not in {u["name"] for u in listed["unreadable"]} and not any(c.startswith(n + ".") for c in read)]
        assert not silent, f"{len(silent)} branches neither read nor named: {silent[:5]}"
        notes += [f"{len(v)} x {k}" for k, v in kinds.items()]
        strange = [k for k in kinds if k != "its class has no members" and "is a container of its own kind" not in k]
        assert not strange, strange


def physlite_join(d):
    """a friend made by cutting and shuffling PHYSLITE's own events, joined by eventNumber"""
    names = ["AnalysisJetsAuxDyn.pt", "AnalysisElectronsAuxDyn.eta", "EventInfoAuxDyn.actualInteractionsPerCrossing", "AnalysisJetsAuxDyn.NumTrkPt500"]
    with uproot.open(PHYSLITE) as f:
        tree = f["CollectionTree"]
        run_number, event = (tree[f"EventInfoAuxDyn.{k}"].array(library="np") for k in ("runNumber", "eventNumber"))
        truth = {n: tree[n].array() for n in names}
    kept = np.random.default_rng(6).permutation(len(event))[:80]
    friend = os.path.join(d, "physlite_friend.root")
    with uproot.recreate(friend) as f:
        f.mktree("CollectionTree", {"runNumber": "u4", "eventNumber": "u8", "score": "f4", "jet_pt": "var * float32"})
        f["CollectionTree"].extend({"runNumber": run_number[kept], "eventNumber": event[kept], "score": (event[kept] % 97).astype("f4"), "jet_pt": truth[names[0]][kept]})
    row = np.full(len(event), -1)
    row[kept] = np.arange(len(kept))
    with case("PHYSLITE x PHYSLITE friend by eventNumber, left join"):
        out = os.path.join(d, "joined.parquet")
        join(PHYSLITE, "--with", "ml:", friend, "--sample", "700322", "-o", out)
        table = pq.read_table(out)
        for name in names:
            assert not (why := difference(table[name], truth[name])), f"{name}: {why}"
        jets = truth[names[0]]
        assert not (why := rows_differ(table["jet_pt_ml"], jets[kept], row)), why
        assert not (why := rows_differ(table["score_ml"], ak.from_numpy((event[kept] % 97).astype("f4")), row)), why
        present = row >= 0
        assert ak.to_list(ak.from_arrow(table["jet_pt_ml"]))[int(np.flatnonzero(present)[0])] == ak.to_list(jets)[int(np.flatnonzero(present)[0])]
        verified(out, PHYSLITE, friend)
    with case("PHYSLITE as the friend of its own shuffled part, inner join"):
        out = os.path.join(d, "inner.parquet")
        join(friend, "--with", PHYSLITE, "--how", "inner", "-c", "*,!AnalysisTrigMatch*", "--sample", "700322", "-o", out)
        table = pq.read_table(out)
        assert table.num_rows == len(kept)
        for name in names:
            column = table[name]
            assert not (why := difference(column, truth[name][kept])), f"{name}: {why}"
        verified(out, friend, PHYSLITE)


def root_values(path, names):
    """{name: rows} by TLeaf::GetValue, ROOT's own decoding"""
    import ROOT
    file = ROOT.TFile(path)
    tree = file.Get("Events")
    tree.SetBranchStatus("*", 0)
    for name in ["nj", *names]:
        tree.SetBranchStatus(name, 1)
    leaves, out = {n: tree.GetLeaf(n) for n in names}, {n: [] for n in names}
    for i in range(tree.GetEntries()):
        tree.GetEntry(i)
        for n, leaf in leaves.items():
            out[n].append([leaf.GetValue(j) for j in range(leaf.GetLen())])
    return out


# uproot: no deque; no Double32_t of 32 bits (ROOT multiplies by 2^32 - 1, uproot by 2^32); u4 for the counter of an array; names TObject's words with @
NOT_UPROOT = ["leafd_p", "counted/n", "counted.n", "counted.txt"]
CANNOT = ["dq", "lv.fUniqueID", "lv.fBits", "lv.fP.fUniqueID", "lv.fP.fBits", "ca.fP.fUniqueID", "ca.fP.fBits", "jf"]
PACKED = ["leafd", "leafd_r", "leafd_t", "leafd_p", "leafh", "leafh_r", "leafh_t", "jd", "jf"]


def unsplit_name(column):
    """`whole/h/h.Point/h.x` of a split branch is `whole.h.x` where it is not split"""
    parts = column.split("/")
    return (column if len(parts) == 1 else f"{parts[0]}.{parts[-1]}").replace(".Point.", ".")


def objects(d):
    outs = {}
    for kind in ("split", "unsplit"):
        path = os.path.join(FIXTURES, f"objects_{kind}.root")
        outs[kind] = os.path.join(d, f"{kind}.parquet")
        with case(f"objects_{kind}.root: every column that uproot reads is equal to it") as notes:
            join(path, "-o", outs[kind])
            equal, cannot = against_uproot(path, "Events", outs[kind], NOT_UPROOT)
            notes.append(f"{len(equal)} equal, {len(cannot)} that uproot cannot read")
            assert kind == "unsplit" or set(cannot) <= set(CANNOT), cannot
            assert len(equal) > (100 if kind == "split" else 40), len(equal)
    with case("objects_unsplit.root: every column equals the same rows written split") as notes:
        one, other = pq.read_table(outs["split"]), pq.read_table(outs["unsplit"])
        compared, alone, twins = 0, [], {unsplit_name(n): n for n in one.column_names}
        for name in other.column_names:
            twin = twins.get(name)
            if twin is None:
                alone.append(name)
                continue
            assert other[name].combine_chunks().equals(one[twin].combine_chunks()), f"{name} is not {twin}"
            compared += 1
        notes.append(f"{compared} columns")
        assert not alone, alone
    with case("Double32_t and Float16_t equal ROOT's own values"):
        table, truth = pq.read_table(outs["split"]), root_values(os.path.join(FIXTURES, "objects_split.root"), PACKED)
        for name in PACKED:
            got = [x if isinstance(x, list) else [x] for x in table[name].to_pylist()]
            assert got == truth[name], f"{name}: {[(g, w) for g, w in zip(got, truth[name]) if g != w][:3]}"


def edm(d):
    for which, base in (("new", 2**53 + 1), ("old", 4_000_000_000)):
        path = os.path.join(FIXTURES, f"edm_{which}.root")
        with case(f"edm_{which}.root: keys of EventAuxiliary are those that were written"):
            out = os.path.join(d, "edm.parquet")
            join(path, "-f", "-o", out)
            table, j = pq.read_table(out), [(i * 7) % 100 for i in range(100)]
            want = {"id_.run_": [316995] * 100, "id_.luminosityBlock_": [1 + k // 20 for k in j], "id_.event_": [base + k for k in j], "bunchCrossing_": [100 + i for i in range(100)], "orbitNumber_": [7 * i for i in range(100)],
                    "processGUID_": ["g" * (i % 5 * 9) for i in range(100)], "processHistoryID_.hash_": [chr(97 + i % 26) * (16 if i < 20 else 32) for i in range(100)], "isRealData_": [True] * 100}
            for name, values in want.items():
                assert table["EventAuxiliary." + name].to_pylist() == values, name
            assert str(table["EventAuxiliary.id_.event_"].type) == ("uint64" if which == "new" else "uint32")
            verified(out, path)
    with case("an EDM file beside a flat friend, by run, lumi and event"):
        friend, out = os.path.join(d, "edm_friend.root"), os.path.join(d, "edm_joined.parquet")
        order = np.random.default_rng(1).permutation(100)
        with uproot.recreate(friend) as f:
            f.mktree("Events", {"run": "u4", "luminosityBlock": "u4", "event": "u8", "k": "i4"})
            f["Events"].extend({"run": np.full(100, 316995, "u4"), "luminosityBlock": (1 + order // 20).astype("u4"), "event": (order + 2**53 + 1).astype("u8"), "k": order.astype("i4")})
        join(os.path.join(FIXTURES, "edm_new.root"), "--with", friend, "-o", out)
        assert pq.read_table(out)["k"].to_pylist() == [(i * 7) % 100 for i in range(100)]


BOOKKEEPERS = '''
import array, sys, ROOT
f = ROOT.TFile(sys.argv[1], "RECREATE")
t = ROOT.TTree("Events", "")
k = [array.array("I", [1]), array.array("I", [1]), array.array("Q", [1])]
for name, a, kind in zip(("run", "luminosityBlock", "event"), k, "iil"):
    t.Branch(name, a, f"{name}/{kind}")
t.Fill()
t.Write()
m, n, cut = ROOT.TTree("MetaData", ""), array.array("i", [7]), ROOT.TLorentzVector()
m.Branch("n", n, "n/I")
m.Branch("CutBookkeepersAux.", "TLorentzVector", cut, 32000, 0)
m.Fill()
m.Write()
f.Close()
'''


def carried(d):
    data = [os.path.join(DATA, n + ".root") for n in ("nano_tree", "pfnano")]
    sets = [("fixtures", [os.path.join(FIXTURES, f"nano_{i}.root") for i in (1, 2, 3)], "strict", ["Runs", "LuminosityBlocks"])]
    if all(map(os.path.exists, data)):
        sets += [(os.path.basename(path), [path], "strict", ["Runs"]) for path in [*data, os.path.join(DATA, "nano_dy.root")]] + [("two real files", data, "intersect", ["Runs"]), ("MetaData and ParameterSets", data[1:], "strict", ["MetaData", "ParameterSets", "LuminosityBlocks"])]
    for title, paths, schema, trees in sets:
        with case(f"--carry {','.join(trees)}: {title}") as notes:
            out = os.path.join(d, "carry.parquet")
            join(*paths, "-f", "-c", "run,luminosityBlock,event", "--schema", schema, "--carry", ",".join(trees), "-o", out)
            for tree in trees:
                notes.append(rows_carried(paths, tree, os.path.join(d, f"carry.{tree}.parquet")))
            verified(out, *paths)
            if "ParameterSets" in trees:                     # CMSSW names a parameter set by the MD5 of its text
                table = pq.read_table(os.path.join(d, "carry.ParameterSets.parquet"))
                names, texts = table["IdToParameterSetsBlobs.first.hash_"].cast("binary").to_pylist(), table["IdToParameterSetsBlobs.second.pset_"].cast("binary").to_pylist()
                wrong = sum(hashlib.md5(t).digest() != n and hashlib.md5(t).hexdigest().encode() != n for n, t in zip(names, texts))
                assert not wrong and len(names) > 10000, f"{wrong} of {len(names)} parameter sets are not what their MD5 says: {names[0]!r}"
            if "Runs" in trees:
                check_sums(paths, json.loads(pq.read_metadata(out).metadata[b"colweave.sums"]))
    with case("--carry of a tree with CutBookkeepers is refused by name, and works with --drop-unreadable"):
        path, out = os.path.join(d, "bookkeepers.root"), os.path.join(d, "bookkeepers.parquet")
        subprocess.run([sys.executable, "-c", BOOKKEEPERS, path], check=True, capture_output=True)
        done = refused("source/unreadable-column", 3, path, "--carry", "MetaData", out=out)
        assert "CutBookkeepers" in done.stderr and "--drop-unreadable" in done.stderr, done.stderr
        assert not os.path.exists(os.path.join(d, "bookkeepers.MetaData.parquet"))
        join(path, "--carry", "MetaData", "--drop-unreadable", "-o", out)
        assert pq.read_table(os.path.join(d, "bookkeepers.MetaData.parquet"))["n"].to_pylist() == [7]
    with case("--carry into a directory: sums of the parts add up to those of the whole"):
        out = os.path.join(d, "parts/")
        paths = sets[0][1]
        join(*paths, "--carry", "Runs", "-o", out)
        parts = [json.loads(pq.read_metadata(os.path.join(out, p)).metadata[b"colweave.sums"]) for p in sorted(os.listdir(out)) if p.endswith(".parquet") and not p.startswith("_")]
        assert len(parts) == len(paths)
        for path, sums in zip(paths, parts):
            check_sums([path], sums)
        assert os.path.exists(os.path.join(out, "_Runs.parquet"))


def rows_carried(paths, tree, out):
    table, at, cache, cannot = pq.read_table(out), 0, {}, 0
    for path in paths:
        with uproot.open(path) as f:
            rows = f[tree].num_entries
            part = table.slice(at, rows)
            assert part["source_file"].to_pylist() == [os.path.basename(path)] * rows
            for name in table.column_names[1:]:
                cache.clear()
                try:
                    truth = values_of(f[tree], name, cache)
                except Exception:  # noqa: BLE001
                    cannot += 1
                    continue
                assert not (why := difference(part[name], truth)), f"{tree}.{name}: {why}"
            at += rows
    assert at == table.num_rows
    return f"{tree}: {table.num_rows} rows, {len(table.column_names) - 1} columns" + (f", {cannot} that uproot cannot read" if cannot else "")


def check_sums(paths, sums):
    arrays = [{re.sub("_$", "", b.name): b.array() for b in uproot.open(p)["Runs"].branches} for p in paths]
    weights = [float(w) for a in arrays for w in a["genEventSumw"]]
    for name, total in sums["added"].items():
        want = math.fsum(float(x) for a in arrays for x in a[re.sub("_$", "", name)])
        assert math.isclose(total, want, rel_tol=1e-15), f"{name}: {total}, not {want}"
    for name, means in sums["averaged"].items():
        lists = ak.concatenate([a[re.sub("_$", "", name)] for a in arrays])
        want = ak.sum(lists * ak.Array(weights), axis=0) / sum(weights)
        assert np.allclose(means, want, rtol=1e-13, atol=0) and len(means) == len(want), name
    assert set(sums["added"]) >= {n for n in sums["added"] if "genEvent" in n} and len(sums["added"]) == 3
    lengths = {name: {len(x) for a in arrays for x in a[re.sub("_$", "", name)]} for name in sums["left"]}
    assert all(len(v) > 1 for v in lengths.values()), lengths


def main():
    with scratch() as d:
        if os.path.exists(PHYSLITE):
            physlite(d)
            physlite_join(d)
        else:
            skip("PHYSLITE", "no PHYSLITE_example.root: set COLWEAVE_SHARED")
        objects(d)
        edm(d)
        carried(d)


if __name__ == "__main__":
    main()
    common.finish()
