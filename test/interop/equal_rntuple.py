#!/usr/bin/env python3
"""Converts RNTuples with colweave and compares every column of every event with uproot, bit by bit; joins TTree, RNTuple and Parquet of the
same events and compares with what uproot and pyarrow read. Where uproot gives the type of the storage (float16, float32, int64 of counters),
its values are widened to the type of the field, which is exact."""
from common import *  # noqa: F403
import common

RNTUPLES = ["nano_dy_rntuple", "nano_dy_empty_rntuple", "cmsopendata2015_ttbar_19980_NANOAOD_RNTupleImporter_rntuple_v1-0-0-1"]
IMPORTED = re.compile(r"_collection\d+$")
WIDER = {("float16", "float32"), ("float16", "float64"), ("float32", "float64"), ("int64", "uint32"), ("int64", "uint64"), ("uint8", "int8")}


def read_rntuple(path, tree="Events"):
    """{field: array} of the top level, collections that RNTupleImporter makes left out: their parts are shown under their own names"""
    with uproot.open(path) as f:
        t = f[tree]
        names = [n for n in t.keys(recursive=False) if not IMPORTED.match(n)]
        all_of = t.arrays(names)
        return {n: all_of[n] for n in names}


def same(column, truth):
    """difference(), after widening"""
    _, got = arrow_parts(column)
    _, want = ak_parts(truth)
    if (want.dtype.name, got.dtype.name) in WIDER:
        truth = ak.values_astype(truth, got.dtype.name)
    return difference(column, truth)


def check(out, truth):
    table = pq.read_table(out)
    problems = []
    if set(table.column_names) != set(truth):
        problems.append(f"columns differ: {sorted(set(table.column_names) ^ set(truth))[:6]}")
    for name in truth:
        if name in table.column_names and (why := same(table[name], truth[name])):
            problems.append(f"{name}: {why}")
    assert not problems, f"{len(problems)} of {len(truth)} differ: " + "; ".join(problems[:6])
    return f"{len(truth)} columns, {table.num_rows} rows"


def convert(name, path, d, truth=None):
    with case(name) as notes:
        out = os.path.join(d, re.sub(r"\W", "_", name) + ".parquet")
        join(path, "-o", out)
        notes.append(check(out, truth if truth is not None else read_rntuple(path)))


# what uproot 5.7 gives otherwise: records by another path, strings of a projected or repeated kind; ROOT's own reading is compared in test/unit
UNLIKE = re.compile(r"^(hits?\.|two|list_of_maybe|variant|pointer|maybe|words|nhits64$|quant14_f8)")


def types(d):
    for name in ("rntuple_types", "rntuple_types_none", "rntuple_types_zlib", "rntuple_types_lz4", "rntuple_types_lzma"):
        with case(f"fixture {name}.root: the columns that uproot reads by the same name") as notes:
            path, out = os.path.join(FIXTURES, f"{name}.root"), os.path.join(d, f"{name}.parquet")
            join(path, "--drop-unreadable", "-o", out)
            table = pq.read_table(out)
            with uproot.open(path) as f:
                names = [n for n in f["Events"].keys(recursive=False) if n in table.column_names and not UNLIKE.match(n)]
                truth = f["Events"].arrays(names)
            problems = [f"{n}: {why}" for n in names if (why := same(table[n], truth[n]))]
            assert len(names) > 50 and not problems, f"{len(problems)} of {len(names)}: " + "; ".join(problems[:6])
            notes.append(f"{len(names)} columns")


def missing_values(d):
    with case("rntuple_types.root: values that can miss are null where uproot has none") as notes:
        path, out = os.path.join(FIXTURES, "rntuple_types.root"), os.path.join(d, "rntuple_types.parquet")
        table, want = pq.read_table(out), {}
        with uproot.open(path) as f:
            for name in ("maybe", "maybe_text", "maybe_list", "pointer"):
                want[name] = ak.to_list(f["Events"][name].array())
        want["pointer"] = [v[0] if v else None for v in want["pointer"]]     # uproot shows a unique_ptr as a list
        wrong = [n for n, values in want.items() if table[n].to_pylist() != values]
        nulls = {n: table[n].null_count for n in want}
        assert not wrong and all(0 < count < table.num_rows for count in nulls.values()), f"{wrong}, nulls {nulls}"
        verified(out, path)
        notes.append(f"nulls {nulls}")


def by_key(columns):
    keys = key_tuples(columns)
    assert len(set(keys)) == len(keys)
    return {k: i for i, k in enumerate(keys)}


def three_ways(d):
    """nano_*.root (TTree) with friend_rntuple.root (RNTuple, rows shuffled) and a Parquet file of pyarrow's (other order, some events missing), each in each place"""
    paths = {"tree": [os.path.join(FIXTURES, f"nano_{i}.root") for i in (1, 2, 3)], "rntuple": [os.path.join(FIXTURES, "friend_rntuple.root")], "parquet": [os.path.join(d, "third.parquet")]}
    parts = [read_tree(p, "Events", [*KEYS, "MET_pt", "nJet", "Jet_pt", "Jet_eta"]) for p in paths["tree"]]
    truth = {"tree": {n: ak.concatenate([p[n] for p in parts]) for n in parts[0]}, "rntuple": read_rntuple(paths["rntuple"][0])}
    r = np.random.default_rng(5)
    rows = r.permutation(300)[:260]
    third = {k: np.asarray(truth["tree"][k])[rows] for k in KEYS}
    lists = truth["tree"]["Jet_pt"][rows]
    third |= {"weight": r.normal(size=260), "Third_x": lists * np.float32(2)}
    pq.write_table(pa.table({n: ak.to_arrow(v, extensionarray=False) if isinstance(v, ak.Array) else pa.array(v) for n, v in third.items()}), paths["parquet"][0])
    truth["parquet"] = third
    for order in (("tree", "rntuple", "parquet"), ("rntuple", "parquet", "tree"), ("parquet", "tree", "rntuple")):
        with case(f"three-way join {' x '.join(order)}, left") as notes:
            out = os.path.join(d, "_".join(order) + ".parquet")
            words = list(paths[order[0]])
            for other in order[1:]:
                words += ["--with", f"{other}:", *paths[other]]
            join(*words, "-o", out)
            table = pq.read_table(out)
            keys = key_tuples(truth[order[0]])
            assert key_tuples({k: table[k].to_numpy() for k in KEYS}) == keys, "keys or their order differ"
            problems, compared = [], 0
            for source in order:
                at = by_key(truth[source])
                found = np.array([at.get(k, -1) for k in keys], "i8")
                for name, values in truth[source].items():
                    out_name = name if source == order[0] else f"{name}_{source}"
                    if name in KEYS or out_name not in table.column_names:
                        continue
                    compared += 1
                    values = values if isinstance(values, ak.Array) else ak.Array(values)
                    if not ak.fields(values) and "int64" in str(ak.type(values)) and name.startswith("n"):
                        values = ak.values_astype(values, "uint32")
                    if why := rows_differ(table[out_name], values, found):
                        problems.append(f"{out_name}: {why}")
            assert compared > 18 and not problems, f"{compared} compared; " + "; ".join(problems[:5])
            notes.append(f"{compared} columns, {table.num_rows} rows")
            verified(out, *[p for s in order for p in paths[s]])


def physlite(d):
    """an RNTuple with ATLAS names, and a friend of it in Parquet, other rows in another order, joined by run and event number"""
    path, keys = os.path.join(FIXTURES, "rntuple_physlite.root"), ("EventInfoAuxDyn:runNumber", "EventInfoAuxDyn:eventNumber")
    with case("rntuple_physlite.root x a friend in Parquet, by the key of ATLAS") as notes:
        with uproot.open(path) as f:
            t = f["EventData"]
            truth = {n: t.arrays()[n] for n in t.keys(recursive=False)}
        links = truth.pop("AnalysisJetsAuxDyn:links")
        truth |= {f"AnalysisJetsAuxDyn:links.{m}": links[m] for m in ("m_persKey", "m_persIndex")}
        rows = np.random.default_rng(3).permutation(len(links))[:29]
        friend = {k.split(":")[1]: np.asarray(truth[k])[rows] for k in keys} | {"score": np.arange(29.0)}
        pq.write_table(pa.table(friend), os.path.join(d, "atlas.parquet"))
        out = os.path.join(d, "atlas_joined.parquet")
        join(path, "--with", os.path.join(d, "atlas.parquet"), "-o", out)
        table = pq.read_table(out)
        problems = [f"{n}: {why}" for n in truth if (why := same(table[n], truth[n]))]
        at = {int(np.asarray(truth[keys[1]])[r]): i for i, r in enumerate(rows)}
        found = np.array([at.get(int(e), -1) for e in np.asarray(truth[keys[1]])], "i8")
        if why := rows_differ(table["score"], ak.Array(friend["score"]), found):
            problems.append(f"score: {why}")
        assert not problems, "; ".join(problems)
        notes.append(f"{len(truth)} columns, {table.num_rows} rows")


def twins(d):
    """the same events as TTree and RNTuple: the aligned path, every column equal"""
    tree, rntuple = os.path.join(DATA, "nano_dy.root"), os.path.join(DATA, "nano_dy_rntuple.root")
    if not os.path.exists(rntuple):
        return skip("nano_dy.root x nano_dy_rntuple.root", "no shared data")
    with case("nano_dy.root x nano_dy_rntuple.root: both halves equal"):
        out = os.path.join(d, "twins.parquet")
        join(tree, "--with", "rn:", rntuple, "-o", out)
        table = pq.read_table(out)
        pairs = [n for n in table.column_names if f"{n}_rn" in table.column_names]
        wrong = [n for n in pairs if not table[n].equals(table[f"{n}_rn"].cast(table[n].type)) and not same_bits(table[n], table[f"{n}_rn"])]
        assert len(pairs) > 1000 and not wrong, f"{len(pairs)} pairs, differing {wrong[:6]}"


def same_bits(left, right):
    (a, x), (b, y) = arrow_parts(left), arrow_parts(right)
    return all(np.array_equal(p, q) for p, q in zip(a, b)) and np.array_equal(bits(x), bits(y))


def main():
    with scratch() as d:
        tree = read_tree(os.path.join(FIXTURES, "nano_1.root"), "Events")
        convert("fixture rntuple_nano_1.root equals the tree it was made of", os.path.join(FIXTURES, "rntuple_nano_1.root"), d, tree)
        convert("fixture rntuple_uproot.root equals the tree it was made of", os.path.join(FIXTURES, "rntuple_uproot.root"), d, tree)
        convert("fixture friend_rntuple.root", os.path.join(FIXTURES, "friend_rntuple.root"), d)
        types(d)
        missing_values(d)
        three_ways(d)
        physlite(d)
        for name in RNTUPLES:
            path = os.path.join(DATA, f"{name}.root")
            if os.path.exists(path):
                convert(f"{name}.root", path, d)
            else:
                skip(f"{name}.root", f"no {os.path.relpath(DATA)}: set COLWEAVE_SHARED")
        twins(d)


if __name__ == "__main__":
    main()
    common.finish()
