#!/usr/bin/env python3
"""Converts ROOT trees with colweave and compares every column of every event with uproot, bit by bit.
  equal_uproot.py                        all TTree NanoAOD of ../shared/data and all good fixtures
  equal_uproot.py FILE TREE OUT.parquet  one output that is there already"""
import hashlib

from common import *  # noqa: F403
import common


def single_counters(path, tree):
    """{counter: list} of counters that count one list only, {counter: lists} of the others"""
    used = {}
    with uproot.open(path) as f:
        for b in f[tree].branches:
            for leaf in b.member("fLeaves"):
                count = leaf.member("fLeafCount")
                if count is not None:
                    used.setdefault(count.member("fName"), []).append(b.name)
    return {c: v[0] for c, v in used.items() if len(v) == 1}, {c: v for c, v in used.items() if len(v) > 1}


def check(path, tree, out, truth_path=None, truth=None, skip_columns=()):
    truth = truth if truth is not None else read_tree(truth_path or path, tree)
    table = pq.read_table(out)
    single, shared = single_counters(truth_path or path, tree)
    rows = len(next(iter(truth.values())))
    problems = [] if table.num_rows == rows else [f"{table.num_rows} rows, not {rows}"]
    names = table.column_names
    dropped = [c for c in single if c not in names]
    for c in dropped:
        lengths = arrow_parts(table[single[c]])[0][0]
        if not np.array_equal(lengths, np.asarray(truth[c]).astype("i8")):
            problems.append(f"{c} is dropped, but {single[c]} has other lengths")
    problems += [f"{c} counts {single[c]} alone and is kept" for c in single if c in names and c == "n" + single[c] and "_" in single[c]]
    want = [k for k in KEYS if k in truth] + [b for b in truth if b not in KEYS and b not in dropped]
    if names != want:
        problems.append(f"columns differ: missing {[n for n in want if n not in names][:5]}, more {[n for n in names if n not in want][:5]}" + ("" if set(names) != set(want) else ", order differs"))
    for name in want:
        if name in names and name not in skip_columns:
            if table[name].null_count:
                problems.append(f"{name}: {table[name].null_count} nulls")
            elif why := difference(table[name], truth[name]):
                problems.append(f"{name}: {why}")
    assert not problems, f"{len(problems)} columns of {len(want)} differ: " + "; ".join(problems[:8])
    return table, f"{len(want)} columns, {rows} rows, {len(dropped)} counters dropped"


def convert(name, path, tree, scratch_dir, **how):
    with case(name) as notes:
        out = os.path.join(scratch_dir, re.sub(r"\W", "_", name) + ".parquet")
        join(path, "--tree", tree, "-o", out)
        table, said = check(path, tree, out, **how)
        notes.append(said)
        return table


def known_bits(table):
    """the fixture's odd floats against literals, in case uproot and colweave changed the same bits"""
    f4, f8 = table["odd_f4"].to_numpy().view("u4")[::3], table["odd_f8"].to_numpy().view("u8")[::3]
    w4 = np.array([0x7F800001, 0xFFA00001, 0x7FC00000, 0x80000000, 1, 0x807FFFFF, 0x7F800000, 0xFF800000, 0x7F7FFFFF], "u4")
    w8 = np.array([0x7FF0000000000001, 0xFFF4000000000001, 0x7FF8000000000000, 1 << 63, 1, (1 << 63) | 0xFFFFF, 0x7FF << 52, 0xFFF << 52, 0x7FEFFFFFFFFFFFFF], "u8")
    assert np.array_equal(f4, np.resize(w4, len(f4))) and np.array_equal(f8, np.resize(w8, len(f8))), "a signalling NaN, -0 or denormal changed its bits"


def swap(table, name):
    v = table[name].to_pylist()
    i, j = next((i, j) for i in range(len(v)) for j in range(i) if v[i] != v[j])
    v[i], v[j] = v[j], v[i]
    return changed(table, name, v)


def changed(table, name, values):
    i = table.column_names.index(name)
    return table.set_column(i, table.schema.field(name), pa.array(values, table.schema.field(name).type))


def quiet_nan(table):
    u = table["odd_f4"].to_numpy().copy().view("u4")
    u[0] |= 0x400000
    return changed(table, "odd_f4", u.view("f4"))


def shift_boundary(table):
    v = table["Jet_pt"].to_pylist()
    i = next(i for i in range(len(v) - 1) if v[i])
    v[i + 1] = [v[i].pop(), *v[i + 1]]
    return changed(table, "Jet_pt", v)


def self_check(path, out, d):
    """a comparison that finds nothing proves nothing: it must find each of these"""
    table, bad = pq.read_table(out), os.path.join(d, "changed.parquet")
    ways = {f"swap {n}": lambda t, n=n: swap(t, n) for n in ("event", "MET_pt", "HLT_IsoMu24", "Jet_pt", "Mix_b1", "note", "odd_u8")}
    ways |= {"quiet NaN": quiet_nan, "shifted list boundary": shift_boundary, "lost row": lambda t: t.slice(1), "lost column": lambda t: t.drop_columns(["MET_pt"])}
    for name, way in ways.items():
        pq.write_table(way(table), bad)
        try:
            check(path, "Events", bad)
        except AssertionError:
            continue
        raise AssertionError(f"not found: {name}")


def fixtures(d):
    with open(os.path.join(FIXTURES, "MANIFEST.json")) as f:
        files = json.load(f)["files"]
    for name, entry in files.items():
        if name.startswith(("hostile_", "friend_duplicates", "rntuple_", "friend_rntuple", "objects_", "edm_")):
            continue
        if not name.endswith(".root"):
            continue
        path, tree = os.path.join(FIXTURES, name), entry["tree"]
        if name == "strings.root":
            with case("fixture strings.root") as notes:
                out = os.path.join(d, "strings.parquet")
                join(path, "-o", out)
                short = [hashlib.sha256(t.encode()).hexdigest()[:8] if len(t) > 9 else t for t in pq.read_table(out)["text"].to_pylist()]
                want = (entry["text"] * 13)[:96] + [""] * 4
                assert short == want, f"{[(i, g, w) for i, (g, w) in enumerate(zip(short, want)) if g != w][:5]}"
            continue
        same = entry.get("same_as")
        table = convert(f"fixture {name}", path, tree, d, truth_path=os.path.join(FIXTURES, same) if same else None)
        if table is not None and name == "nano_1.root":
            with case("bits of sNaN, -0 and denormals"):
                known_bits(table)
            with case("the comparison itself finds each of eleven changes"):
                self_check(path, os.path.join(d, "fixture_nano_1_root.parquet"), d)
    with case("three files in one output"):
        out = os.path.join(d, "three.parquet")
        parts = [os.path.join(FIXTURES, f"nano_{i}.root") for i in (1, 2, 3)]
        join(*parts, "-o", out)
        many = os.path.join(FIXTURES, "many_baskets.root")          # the same 300 rows in one file
        check(many, "Events", out)
    with case("titles are kept as field metadata"):
        out = os.path.join(d, "titles.parquet")
        path = os.path.join(FIXTURES, "nano_1.root")
        join(path, "-o", out)
        wrong = wrong_titles(out, path)
        assert not wrong, f"{len(wrong)} titles: {dict(list(wrong.items())[:4])}"
    with case("a basket of several compression blocks"):
        import make_big
        for codec in ("zstd", "lzma", "lz4", "zlib", "none"):
            big, out = os.path.join(d, f"big_{codec}.root"), os.path.join(d, "big.parquet")
            make_big.make(big, codec)
            join(big, "-f", "-o", out)
            check(big, "Events", out)
            os.remove(big)


def without_lumi(d):
    path = os.path.join(DATA, "missing_luminosityBlock.root")
    with case("missing_luminosityBlock.root is refused"):
        refused("key/absent", 3, path, out=os.path.join(d, "refused.parquet"))
    with case("missing_luminosityBlock.root works with --on run,event"):
        out = os.path.join(d, "two_keys.parquet")
        join(path, "--on", "run,event", "-o", out)
        check(path, "Events", out)
        verified(out, path)


def main():
    if len(sys.argv) == 4:
        with case(sys.argv[1]) as notes:
            notes.append(check(*sys.argv[1:])[1])
        return
    with scratch() as d:
        fixtures(d)
        real = real_files()
        if not real:
            skip("real NanoAOD files", f"no {os.path.relpath(DATA)}: set COLWEAVE_SHARED")
        for path, tree in real:
            convert(f"{os.path.basename(path)}:{tree}", path, tree, d)
        if real:
            without_lumi(d)


if __name__ == "__main__":
    main()
    common.finish()
