"""What the interop scripts share: running colweave, comparing an Arrow column with an awkward or numpy one bit by bit, and saying what came of each case.
A script prints one JSON line a case: {"case": ..., "ok": true} or {"ok": false, "why": ...} or {"skip": reason}; by hand it also says so on stderr."""
import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import traceback
import warnings

warnings.filterwarnings("ignore")
import awkward as ak  # noqa: E402
import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.compute as pc  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import uproot  # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FIXTURES = os.path.join(TOP, "fixtures")
SHARED = os.environ.get("COLWEAVE_SHARED") or os.path.join(os.path.dirname(TOP), "shared")
DATA = os.path.join(SHARED, "data")
KEYS = ["run", "luminosityBlock", "event"]
TTREES = ["nano_dy", "nano_tree", "nano_tt_v12", "pfnano", "nanoAOD_2015_CMS_Open_Data_ttbar", "nano_dy_empty", "nano_dy_SpecialTree", "Run2012B_SingleMu_1000"]
sys.path.insert(0, FIXTURES)

_bad = 0


def node():
    pinned = os.path.join(TOP, "node_modules", ".bin", "node")
    return os.environ.get("COLWEAVE_NODE") or (pinned if os.path.exists(pinned) else "node")


def _colweave():
    if os.environ.get("COLWEAVE"):
        return shlex.split(os.environ["COLWEAVE"])
    return [node(), os.path.join(TOP, "dist", "colweave.js")]


def run(*args, binary=False):
    """colweave with these words; stdout, stderr and returncode of it"""
    return subprocess.run([*_colweave(), *map(str, args)], capture_output=True, text=not binary, timeout=300)


def join(*args):
    """colweave join that must succeed"""
    done = run("join", *args)
    assert done.returncode == 0, f"exit {done.returncode}: join {' '.join(map(str, args))}\n{done.stderr[-1500:]}"
    return done


def refused(code, exit_status, *args, out=None):
    """colweave join that must be refused with this code and status, and leave nothing under the output's name"""
    done = run("join", *args, *(["-o", out] if out else []))
    assert done.returncode == exit_status, f"exit {done.returncode}, not {exit_status}: join {' '.join(map(str, args))}\n{done.stderr[-1500:]}{done.stdout[-300:]}"
    assert code in done.stderr, f"no {code} in: {done.stderr[-1500:]}"
    assert not out or not os.path.exists(out), f"{out} exists after a refusal"
    return done


def verified(out, *sources):
    """colweave verify must find nothing in this output, neither alone nor against its sources"""
    for words in ([], ["--against", *sources]):
        done = run("verify", out, *words)
        assert done.returncode == 0, f"exit {done.returncode}: verify {' '.join(map(str, words))}\n{(done.stdout + done.stderr)[-1500:]}"


def wrong_titles(out, path, tree="Events"):
    """fields whose `title` is not the branch's; a title that is only ROOT's leaf list (`run/i`) documents nothing and may be left out"""
    schema = pq.read_schema(out)
    with uproot.open(path) as f:
        truth = {b.name: b.title for b in f[tree].branches if b.name in schema.names}
    got = {n: (schema.field(n).metadata or {}).get(b"title", b"").decode() for n in truth}
    return {n: (got[n], t) for n, t in truth.items() if got[n] != t and not (got[n] == "" and re.fullmatch(re.escape(n) + r"(\[.*\])?/[A-Za-z]", t))}


def say(line):
    print(json.dumps(line), flush=True)
    if sys.stderr.isatty():
        print(("ok    " if line.get("ok") else "skip  " if "skip" in line else "FAIL  ") + line["case"] + (": " + str(line.get("why") or line.get("skip") or line.get("note") or "")), file=sys.stderr)


@contextlib.contextmanager
def case(name):
    """one case: what is raised inside is its failure, and the next case goes on; yields a list for notes"""
    global _bad
    notes = []
    try:
        yield notes
        say({"case": name, "ok": True, **({"note": "; ".join(notes)} if notes else {})})
    except Exception as e:
        _bad += 1
        why = str(e) if isinstance(e, AssertionError) and str(e) else traceback.format_exc(limit=-4)
        say({"case": name, "ok": False, "why": why[:3000]})


def skip(name, reason):
    say({"case": name, "skip": reason})


def finish():
    sys.exit(1 if _bad else 0)


@contextlib.contextmanager
def scratch():
    d = tempfile.mkdtemp(prefix="colweave-interop-")
    try:
        yield d
    finally:
        shutil.rmtree(d, ignore_errors=True)


def real_files():
    """(path, tree) of each TTree NanoAOD with the three keys; empty when the data are not there"""
    if not os.path.isdir(DATA):
        return []
    out = []
    for name in TTREES:
        path = os.path.join(DATA, name + ".root")
        with uproot.open(path) as f:
            for key, kind in f.classnames(cycle=False).items():
                if kind == "TTree" and all(k in f[key] for k in KEYS):
                    out.append((path, key))
    return out


# ---- comparing: a column becomes (list lengths per level, leaf values), leaves compared by their bits

def bits(a):
    a = np.ascontiguousarray(a)
    a = a.astype(a.dtype.newbyteorder("="), copy=False)
    return a.view(f"u{a.dtype.itemsize}") if a.dtype.kind == "f" else a


def arrow_parts(col):
    if isinstance(col, pa.ChunkedArray):
        col = col.combine_chunks()
    levels = []
    while pa.types.is_list(col.type) or pa.types.is_large_list(col.type) or pa.types.is_fixed_size_list(col.type):
        levels.append(pc.list_value_length(col).to_numpy(zero_copy_only=False).astype("i8"))
        col = col.flatten()
    if pa.types.is_dictionary(col.type):
        col = col.dictionary_decode()
    if pa.types.is_string(col.type) or pa.types.is_large_string(col.type):
        return levels, np.array(col.to_pylist(), dtype=object)
    return levels, col.to_numpy(zero_copy_only=False)


def ak_parts(a):
    if isinstance(a, np.ndarray):
        a = ak.from_regular(ak.from_numpy(a)) if a.ndim > 1 else ak.from_numpy(a)
    levels = []
    if len(a) == 0 and ak.parameters(a).get("__array__") is None:
        t = a.type.content
        while not isinstance(t, ak.types.NumpyType):
            if t.parameters.get("__array__") == "string":
                return levels, np.array([], dtype=object)
            t = t.content
            levels.append(np.zeros(0, "i8"))
        return levels, np.zeros(0, ak.types.numpytype.primitive_to_dtype(t.primitive))
    while a.ndim > 1:
        levels.append(ak.to_numpy(ak.num(a, axis=1)).astype("i8"))
        a = ak.flatten(a, axis=1)
    if "string" in str(a.type):
        return levels, np.array(ak.to_list(a), dtype=object)
    return levels, ak.to_numpy(a)


def difference(col, truth):
    """None when the Arrow column (without nulls) holds exactly these values, types included; else what differs first"""
    got_levels, got = arrow_parts(col)
    want_levels, want = ak_parts(truth)
    if len(got_levels) != len(want_levels):
        return f"list depth {len(got_levels)}, not {len(want_levels)}"
    for depth, (g, w) in enumerate(zip(got_levels, want_levels)):
        if len(g) != len(w) or not np.array_equal(g, w):
            at = int(np.flatnonzero(g != w)[0]) if len(g) == len(w) else -1
            return f"list lengths at depth {depth} differ, first in row {at}: {g[at] if at >= 0 else len(g)}, not {w[at] if at >= 0 else len(w)}"
    if got.dtype != want.dtype.newbyteorder("="):
        return f"type {got.dtype}, not {want.dtype}"
    if len(got) != len(want):
        return f"{len(got)} values, not {len(want)}"
    g, w = bits(got), bits(want)
    if not np.array_equal(g, w):
        at = int(np.flatnonzero(g != w)[0])
        return f"{int((g != w).sum())} of {len(g)} values differ, first at {at}: {got[at]!r}, not {want[at]!r}"
    return None


def rows_differ(col, truth, rows):
    """None when row i of the Arrow column is row rows[i] of truth, and null where rows[i] is -1"""
    if isinstance(col, pa.ChunkedArray):
        col = col.combine_chunks()
    present = rows >= 0
    valid = pc.is_valid(col).to_numpy(zero_copy_only=False)
    if not np.array_equal(valid, present):
        at = int(np.flatnonzero(valid != present)[0])
        return f"row {at} is {'a value' if valid[at] else 'null'}: {int((valid != present).sum())} rows so"
    return difference(col.filter(pa.array(present)), truth[rows[present]])


def key_tuples(a):
    return list(zip(*(np.asarray(a[k]).tolist() for k in KEYS)))


def read_tree(path, tree, columns=None):
    """{branch: array}, top-level branches in file order"""
    with uproot.open(path) as f:
        t = f[tree]
        return {b.name: b.array() for b in t.branches if columns is None or b.name in columns}
