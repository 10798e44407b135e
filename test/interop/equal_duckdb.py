#!/usr/bin/env python3
"""Joins the fixtures in the four ways with colweave and with DuckDB (on Parquet copies made by uproot) and compares schema order, row order and every value."""
import duckdb

from common import *  # noqa: F403
import common

ROW = "__row"


def as_arrow(files, keep=None, rename=""):
    """the rows of these files, in order, as an Arrow table with a row number"""
    parts = [read_tree(f, "Events") for f in files]
    cols = {}
    for name in parts[0]:
        if keep and name not in KEYS and name not in keep:
            continue
        a = ak.to_packed(ak.concatenate([p[name] for p in parts]))
        cols[name if name in KEYS else name + rename] = ak.to_arrow(ak.from_regular(a, axis=1) if a.ndim > 1 else a, extensionarray=False, list_to32=True, string_to32=True)
    cols[ROW + rename] = pa.array(np.arange(len(next(iter(cols.values()))), dtype="i8"))
    return pa.table(cols)


SQL = {
    "left": "from p left join f using (run, luminosityBlock, event) order by p.__row",
    "inner": "from p join f using (run, luminosityBlock, event) order by p.__row",
    "right": "from p right join f using (run, luminosityBlock, event) order by p.__row nulls last, f.__row_fr",
    "outer": "from p full join f using (run, luminosityBlock, event) order by p.__row nulls last, f.__row_fr",
}


def canonical(col):
    """lists, bits instead of floats, null kept"""
    col = col.combine_chunks() if isinstance(col, pa.ChunkedArray) else col
    valid = pc.is_valid(col).to_numpy(zero_copy_only=False)
    levels, leaf = arrow_parts(col.filter(pa.array(valid)))
    return valid, levels, bits(leaf) if leaf.dtype != object else leaf


def same(got, want):
    (v1, l1, x1), (v2, l2, x2) = canonical(got), canonical(want)
    if not np.array_equal(v1, v2):
        return f"nulls differ: {int((~v1).sum())}, not {int((~v2).sum())}"
    if len(l1) != len(l2) or any(not np.array_equal(a, b) for a, b in zip(l1, l2)):
        return "list lengths differ"
    if x1.dtype != x2.dtype or not np.array_equal(x1, x2):
        return f"values differ ({x1.dtype}, {x2.dtype})"
    return None


def joined(d, p, f, how):
    con = duckdb.connect()
    con.execute("set threads to 1")
    for name, table in (("p", p), ("f", f)):
        pq.write_table(table, os.path.join(d, name + ".parquet"))
        con.execute(f"create or replace view {name} as select * from read_parquet('{d}/{name}.parquet')")
    con.execute("create or replace table fl as select distinct run, luminosityBlock from f")
    con.execute("create or replace table pl as select distinct run, luminosityBlock from p")
    code = "(case when {0} is not null then 0 when (run, luminosityBlock) in (select (run, luminosityBlock) from {1}) then 1 else 2 end)::utinyint"
    return con.sql(f"select *, {code.format('__row_fr', 'fl')} as fr_missing, {code.format('__row', 'pl')} as primary_missing {SQL[how]}").to_arrow_table()


def fixture(*names):
    return [os.path.join(FIXTURES, n) for n in names]


PRIMARY = ("nano_1.root", "nano_2.root", "nano_3.root")
FRIENDS = {
    "aligned": ("friend_aligned_1.root", "friend_aligned_2.root", "friend_aligned_3.root"), "reordered": ("friend_reordered.root",), "regrouped": ("friend_regrouped_1.root", "friend_regrouped_2.root"),
    "partial": ("friend_partial.root",), "i64 keys": ("friend_i64.root",),
}


def compare(out, want, how):
    got = pq.read_table(out)
    problems = []
    if got.num_rows != want.num_rows:
        problems.append(f"{got.num_rows} rows, not {want.num_rows}")
    else:
        expected = [n for n in want.column_names if not n.startswith(ROW) and n not in ("primary_missing", "fr_missing") and n in got.column_names]
        if [n for n in got.column_names if not n.endswith("_missing")] != expected:
            problems.append(f"column order: {got.column_names[:8]}..., not {expected[:8]}...")
        absent = [n for n in want.column_names if n not in got.column_names and not n.startswith((ROW, "nJet_fr")) and n not in ("primary_missing", "fr_missing")]
        if absent:
            problems.append(f"absent: {absent[:6]}")
        for n in expected:
            if why := same(got[n], want[n]):
                problems.append(f"{n}: {why}")
        for n in (c for c in got.column_names if c.endswith("_missing")):
            side = "fr_missing" if n.startswith("fr") else "primary_missing"
            if got[n].to_pylist() != want[side].to_pylist():
                problems.append(f"{n}: codes differ from DuckDB's {side}")
        if ("fr_missing" in got.column_names) != (how in ("left", "outer")):
            problems.append(f"fr_missing is {'' if 'fr_missing' in got.column_names else 'not '}there in a {how} join")
    assert not problems, "; ".join(problems[:6])
    return f"{got.num_rows} rows, {got.num_columns} columns"


def main():
    with scratch() as d:
        p = as_arrow(fixture(*PRIMARY))
        for name, files in FRIENDS.items():
            f = as_arrow(fixture(*files), rename="_fr")
            f = f.set_column(0, "run", f["run"].cast(pa.uint32())).set_column(1, "luminosityBlock", f["luminosityBlock"].cast(pa.uint32())).set_column(2, "event", f["event"].cast(pa.uint64()))
            for how in SQL:
                with case(f"{name} {how}") as notes:
                    out = os.path.join(d, "out.parquet")
                    join(*fixture(*PRIMARY), "--with", "fr:", *fixture(*files), "--how", how, "-f", "-o", out)
                    notes.append(compare(out, joined(d, p, f, how), how))
        with case("-o dir/: its files one after the other, then _only_fr, are the single output") as notes:
            one, many = os.path.join(d, "one.parquet"), os.path.join(d, "many")
            words = [*fixture(*PRIMARY), "--with", "fr:", *fixture("friend_partial.root"), "--how", "outer"]
            join(*words, "-o", one)
            join(*words, "-o", many + "/")
            names = sorted(n for n in os.listdir(many) if n.endswith(".parquet"))
            parts = pa.concat_tables([pq.read_table(os.path.join(many, n)) for n in names])
            whole = pq.read_table(one)
            assert parts.schema.equals(whole.schema), "schemas differ"
            wrong = [n for n in whole.column_names if same(parts[n], whole[n])]
            assert not wrong, f"columns differ: {wrong[:6]}"
            notes.append(", ".join(names))
        with case("two friends, outer: primary's rows, then the first's own, then the second's"):
            out = os.path.join(d, "out.parquet")
            join(*fixture(*PRIMARY), "--with", "fr:", *fixture("friend_partial.root"), "--with", "up:", *fixture("friend_jes_up.root"), "--how", "outer", "-f", "-o", out)
            got, f = pq.read_table(out), as_arrow(fixture("friend_partial.root"), rename="_fr")
            want = joined(d, p, f.set_column(0, "run", f["run"].cast(pa.uint32())), "outer")
            assert all(same(got[k], want[k]) is None for k in KEYS), "row order differs"
            u = as_arrow(fixture("friend_jes_up.root"), rename="_up")
            at = {k: i for i, k in enumerate(zip(*(u[k].to_pylist() for k in KEYS)))}
            rows = np.array([at.get(k, -1) for k in zip(*(got[k].to_pylist() for k in KEYS))])
            for n in ("Jet_pt_up", "MET_pt_up", "Jet_mass_up"):
                why = rows_differ(got[n], ak.from_arrow(u[n]), rows)
                assert why is None, f"{n}: {why}"


if __name__ == "__main__":
    main()
    common.finish()
