#!/usr/bin/env python3
"""Cuts, shuffles and splits friends from real files, joins them with colweave and by hand with numpy and awkward, and compares every column.
  equal_awkward_join.py              all TTree NanoAOD of ../shared/data, and the fixtures' primary"""
from common import *  # noqa: F403
import common

FLAT, LISTS = 14, 14


def mix(run, lumi, event):
    with np.errstate(over="ignore"):
        return (run.astype("u8") * np.uint64(1_000_003) + lumi.astype("u8")) * np.uint64(0x9E3779B97F4A7C15) ^ event.astype("u8")


def payload(truth):
    """some columns of each type, flat and list"""
    flat, lists, seen = [], [], {}
    for name, a in truth.items():
        if name in KEYS or (name.startswith("n") and name[1:2].isupper()):
            continue
        kind = str(a.type.content)
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] > 4 or "string" in kind or "*" in kind.replace("var *", "", 1):
            continue
        (lists if a.ndim > 1 else flat).append(name)
    return flat[:FLAT] + lists[:LISTS]


def make_friend(truth, names, r, parts, d, tag):
    """70 % of the rows, shuffled, then a few that the primary does not have, in `parts` files by uproot; returns what is in them and the files"""
    n = len(truth["run"])
    keep = r.permutation(np.flatnonzero(r.random(n) < 0.7))
    foreign = r.permutation(n)[: max(1, n // 20)] if n else np.zeros(0, "i8")
    rows = np.concatenate([keep, foreign]).astype("i8")
    order = r.permutation(len(rows))
    rows, is_foreign = rows[order], (np.arange(len(rows)) >= len(keep))[order]
    cols = {k: np.asarray(truth[k])[rows] for k in KEYS}
    cols["event"] = np.where(is_foreign, cols["event"] ^ np.uint64(1 << 40), cols["event"])
    if n > 3 and is_foreign.any():                               # one foreign row in a lumi that the primary does not have at all
        cols["luminosityBlock"][np.flatnonzero(is_foreign)[0]] = 4_000_000_000
    cols["chk"] = mix(*(cols[k] for k in KEYS))
    out = {**cols, **{c: truth[c][rows] for c in names}}
    files = []
    for i, part in enumerate(np.array_split(np.arange(len(rows)), parts)):
        path = os.path.join(d, f"{tag}_{i}.root")
        with uproot.recreate(path) as f:
            piece = {k: v[part] for k, v in out.items()}
            f.mktree("Events", {k: (v.dtype if isinstance(v, np.ndarray) else v.type.content if v.ndim == 1 else f"var * {v.type.content.content}") for k, v in piece.items()})
            if len(part):
                f["Events"].extend(piece)
        files.append(path)
    return out, files


def row_maps(how, pk, fk):
    """(primary rows, friend rows) of the output, -1 for absent: the primary's order, then the friend's own"""
    at = {k: i for i, k in enumerate(fk)}
    assert len(at) == len(fk)
    hit = np.array([at.get(k, -1) for k in pk], "i8")
    mine, theirs = np.arange(len(pk)), hit
    if how in ("inner", "right"):
        mine, theirs = mine[hit >= 0], hit[hit >= 0]
    if how in ("right", "outer"):
        known = set(pk)
        only = np.array([i for i, k in enumerate(fk) if k not in known], "i8")
        mine, theirs = np.concatenate([mine, np.full(len(only), -1)]), np.concatenate([theirs, only])
    return mine.astype("i8"), theirs.astype("i8")


def check_keys(table, truth, friend, mine, theirs):
    for k in KEYS:
        want = np.zeros(len(mine), np.asarray(truth[k]).dtype)
        want[mine >= 0] = np.asarray(truth[k])[mine[mine >= 0]]
        want[mine < 0] = np.asarray(friend[k])[theirs[mine < 0]]
        why = difference(table[k], want)
        assert why is None, f"{k}: {why}"


def missing_code(truth, friend, mine, theirs):
    """0 present, 1 no such event, 2 the whole lumi is absent"""
    lumis = set(zip(np.asarray(friend["run"]).tolist(), np.asarray(friend["luminosityBlock"]).tolist()))
    runs, blocks = np.asarray(truth["run"]).tolist(), np.asarray(truth["luminosityBlock"]).tolist()
    return [0 if t >= 0 else 1 if (runs[m], blocks[m]) in lumis else 2 for m, t in zip(mine, theirs)]


def compare(out, truth, friend, how):
    table = pq.read_table(out)
    mine, theirs = row_maps(how, key_tuples(truth), key_tuples(friend))
    assert table.num_rows == len(mine), f"{table.num_rows} rows, not {len(mine)}"
    check_keys(table, truth, friend, mine, theirs)
    problems = []
    for name, a in truth.items():
        if name not in KEYS and name in table.column_names and (why := rows_differ(table[name], a, mine)):
            problems.append(f"{name}: {why}")
    for name, a in friend.items():
        if name in KEYS:
            continue
        if f"{name}_fr" not in table.column_names:
            problems.append(f"{name}_fr is not there")
        elif why := rows_differ(table[f"{name}_fr"], ak.Array(a), theirs):
            problems.append(f"{name}_fr: {why}")
    if how != "inner" and how != "right":
        codes = table["fr_missing"].to_pylist() if "fr_missing" in table.column_names else None
        if codes != missing_code(truth, friend, mine, theirs):
            problems.append(f"fr_missing: {codes and codes[:20]}, not {missing_code(truth, friend, mine, theirs)[:20]}")
    schema = pq.read_schema(out)
    want_null = {"inner": (False, False), "left": (False, True), "right": (True, False), "outer": (True, True)}[how]
    for name in schema.names:
        nullable = False if name in KEYS or name.endswith("_missing") else want_null[1] if name.endswith("_fr") else want_null[0]
        if schema.field(name).nullable != nullable:
            problems.append(f"{name} is {'OPTIONAL' if schema.field(name).nullable else 'REQUIRED'} in a {how} join")
    assert not problems, f"{len(problems)} columns: " + "; ".join(problems[:6])
    return f"{len(table.column_names)} columns, {table.num_rows} rows, {int((theirs < 0).sum())} without friend"


def one(path, tree, d, seed, hows):
    r = np.random.default_rng(seed)
    name = f"{os.path.basename(path)}:{tree}"
    truth = read_tree(path, tree)
    with case(f"{name} friend") as notes:
        friend, files = make_friend(truth, payload(truth), r, 3, d, f"{os.path.basename(path)}_{tree}")
        notes.append(f"{len(friend['run'])} rows, {len(friend)} columns, {len(files)} files")
    for how in hows:
        with case(f"{name} {how}") as notes:
            out = os.path.join(d, "out.parquet")
            # the friend's files hold `Events`, the primary's tree may be another
            join(path + (f":{tree}" if tree != "Events" else ""), "--with", "fr:", *files, "--how", how, "-f", "-o", out)
            notes.append(compare(out, truth, friend, how))
            if how in ("left", "outer"):
                verified(out, path, *files)
    with case(f"{name} aligned"):
        path2 = os.path.join(d, "aligned.root")
        names = payload(truth)
        if len(truth["run"]):
            cols = {**{k: np.asarray(truth[k]) for k in KEYS}, **{c: truth[c] for c in names}}
            with uproot.recreate(path2) as f:
                f.mktree("Events", {k: (v.dtype if isinstance(v, np.ndarray) else v.type.content if v.ndim == 1 else f"var * {v.type.content.content}") for k, v in cols.items()})
                f["Events"].extend(cols)
            join(path + (f":{tree}" if tree != "Events" else ""), "--with", "fr:", path2, "--expect", "aligned", "-f", "-o", os.path.join(d, "out.parquet"))
            compare(os.path.join(d, "out.parquet"), truth, cols, "left")


def main():
    with scratch() as d:
        one(os.path.join(FIXTURES, "many_baskets.root"), "Events", d, 5, ("left", "inner", "right", "outer"))
        real = real_files()
        if not real:
            skip("joins of real NanoAOD files", f"no {os.path.relpath(DATA)}: set COLWEAVE_SHARED")
        for i, (path, tree) in enumerate(real):
            one(path, tree, d, 100 + i, ("left", "inner", "outer"))


if __name__ == "__main__":
    main()
    common.finish()
