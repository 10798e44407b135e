#!/usr/bin/env python3
"""An ATLAS-like file: a nominal tree and six systematic ones, each with its own selection; the outer join of all trees by
(runNumber, eventNumber) against awkward (by dictionary) and DuckDB (FULL JOIN), cell by cell."""
from common import *  # noqa: F403
import duckdb

SYSTEMATICS = [f"{source}__1{way}" for source in ("JET_JER_EffectiveNP_1", "EG_SCALE_ALL", "MUON_SAGITTA_RHO") for way in ("up", "down")]
EVENTS = 4000


def make(path):
    """tree -> columns, as written: events thinned by a cut on the varied met, trees in orders of their own"""
    rng = np.random.default_rng(20261125)
    run = np.repeat(np.array([284500, 300000], "u4"), EVENTS // 2)
    number = (np.arange(EVENTS, dtype="u8") * 7919 % 1_000_003) + np.uint64(2**53)
    met = rng.exponential(60, EVENTS).astype("f4")
    jets = ak.Array(np.split(rng.exponential(40, EVENTS * 3).astype("f4"), np.cumsum(rng.poisson(3, EVENTS))[:-1]))
    trees = {}
    for i, name in enumerate(["nominal", *SYSTEMATICS]):
        shift = np.float32(1 + (0.02 * ((i + 1) // 2) * (1 if i % 2 else -1) if i else 0))
        keep = np.flatnonzero(met * shift > 45)
        if i:
            keep = rng.permutation(keep)
        trees[name] = {"runNumber": run[keep], "eventNumber": number[keep], "met": met[keep] * shift, "jet_pt": ak.values_astype(jets[keep] * shift, "f4")}
    with uproot.recreate(path) as f:
        for name, columns in trees.items():
            f.mktree(name, {key: "var * float32" if key == "jet_pt" else value.dtype for key, value in columns.items()})
            f[name].extend(columns)
        f.mktree("sumWeights", {"totalEvents": "u8"})
        f["sumWeights"].extend({"totalEvents": np.array([EVENTS], "u8")})
    return trees


def outer(trees):
    """keys in the promised order, and for each tree key -> row"""
    places = {name: {k: i for i, k in enumerate(zip(t["runNumber"].tolist(), t["eventNumber"].tolist()))} for name, t in trees.items()}
    order = {}
    for places_of in places.values():
        for k in places_of:
            order.setdefault(k, len(order))
    return list(order), places


def main():
    with scratch() as d:
        path, out = os.path.join(d, "atlas.root"), os.path.join(d, "out.parquet")
        trees = make(path)
        with case("seven trees of one file, outer join by runNumber and eventNumber, equal awkward"):
            join(f"{path}:nominal", "--with", f"{path}:*__1*", "--how", "outer", "--on", "atlas", "-o", out)
            table = pq.read_table(out)
            keys, places = outer(trees)
            got = list(zip(table["runNumber"].to_pylist(), table["eventNumber"].to_pylist()))
            assert got == keys, f"keys differ: {len(got)} rows, {len(keys)} wanted"
            assert sum(len(columns["met"]) < len(keys) for columns in trees.values()) > 4, "most trees lack events"
            for name, columns in trees.items():
                suffix = "" if name == "nominal" else f"_{name}"
                rows = [places[name].get(k, -1) for k in keys]
                lists = ak.to_list(columns["jet_pt"])
                met = columns["met"].tolist()
                assert table[f"met{suffix}"].to_pylist() == [met[r] if r >= 0 else None for r in rows], f"met of {name}"
                assert table[f"jet_pt{suffix}"].to_pylist() == [lists[r] if r >= 0 else None for r in rows], f"jet_pt of {name}"
                flag = table[f"{name if suffix else 'primary'}_missing"].to_pylist()
                assert [f == 0 for f in flag] == [r >= 0 for r in rows], f"flag of {name}"
            verified(out, path)
        with case("the same as DuckDB's FULL JOIN"):
            db = duckdb.connect()
            for name, columns in trees.items():
                db.register(f"t_{name}", pa.table({"runNumber": columns["runNumber"], "eventNumber": columns["eventNumber"], f"met_{name}": columns["met"]}))
            joins = " ".join(f"FULL JOIN t_{name} USING (runNumber, eventNumber)" for name in SYSTEMATICS)
            want = db.execute(f"SELECT * FROM t_nominal {joins} ORDER BY runNumber, eventNumber").to_arrow_table()
            mine = pq.read_table(out).sort_by([("runNumber", "ascending"), ("eventNumber", "ascending")])
            assert mine.num_rows == want.num_rows
            for name in trees:
                assert mine["met" if name == "nominal" else f"met_{name}"].to_pylist() == want[f"met_{name}"].to_pylist(), name
        with case("a pattern that matches nothing, or a label for many"):
            refused("source/no-tree", 3, f"{path}:nominal", "--with", f"{path}:*__2up", "--on", "atlas", out=os.path.join(d, "no.parquet"))
            refused("usage/bad-option", 2, f"{path}:nominal", "--with", "jes:", f"{path}:*__1up", "--on", "atlas", out=os.path.join(d, "no.parquet"))


main()
finish()
