#!/usr/bin/env python3
"""The traps in which peers mix events without a word (R: ROOT friends, N: RNTuple joins, T: Python tables): colweave must be right or refuse.
Each input is a few rows, as a ROOT tree (written by ROOT) or as Parquet; `fe` in a friend repeats the event it belongs to."""
from common import *  # noqa: F403
import common
from root_writer import Col, Tree, write

B = 2**53
DIR = ""


def root(name, **cols):
    path = os.path.join(DIR, name + ".root")
    write(path, [Tree("Events", [Col(k, v) for k, v in cols.items()])])
    return path


def parquet(name, **cols):
    path = os.path.join(DIR, name + ".parquet")
    pq.write_table(pa.table({k: v if isinstance(v, (pa.Array, list)) else pa.array(v) for k, v in cols.items()}), path)
    return path


def u4(*a):
    return np.array(a, "u4")


def u8(*a):
    return np.array(a, "u8")


def rows(event, run=1, lumi=1, **more):
    """keys and more columns; run and lumi one number or as many as events"""
    n = len(event)
    fill = lambda x: np.full(n, x, "u4") if np.isscalar(x) else np.asarray(x, "u4")  # noqa: E731
    return {"run": fill(run), "luminosityBlock": fill(lumi), "event": event, **more}


def pairs(primary, friend, *options, columns=("event", "fe_f")):
    """rows of the output of a left join, as tuples of these columns"""
    out = os.path.join(DIR, "out.parquet")
    join(primary, "--with", "f:", *([friend] if isinstance(friend, str) else friend), *options, "-f", "-o", out)
    table = pq.read_table(out)
    return list(zip(*(table[c].to_pylist() for c in columns)))


def stops(code, exit_status, primary, friend, *options):
    return refused(code, exit_status, primary, "--with", "f:", friend, *options, out=os.path.join(DIR, "refused.parquet"))


def is_(got, want):
    assert got == want, f"{got}, not {want}"


def both(name, **cols):
    """the same rows in both formats"""
    return root(name, **cols), parquet(name, **cols)


def ordering():
    p = root("p", **rows(u8(1, 2, 3)))
    with case("R1 T5 a friend in another order is matched by key, ROOT and Parquet"):
        for f in both("r1", **rows(u8(3, 1, 2), fe=u8(3, 1, 2))):
            is_(pairs(p, f), [(1, 1), (2, 2), (3, 3)])
    with case("R1 --expect aligned stops when the order differs"):
        stops("join/expectation", 1, p, root("r1", **rows(u8(3, 1, 2), fe=u8(3, 1, 2))), "--expect", "aligned")
    with case("R2 a missing event is null with its reason, never the value of the event before"):
        f = root("r2", **rows(u8(3, 1), fe=u8(3, 1)))
        is_(pairs(p, f, columns=("event", "fe_f", "f_missing")), [(1, 1, 0), (2, None, 1), (3, 3, 0)])
    with case("R3 a friend shorter than the primary does not repeat its last row"):
        is_(pairs(p, root("r3", **rows(u8(1), fe=u8(1)))), [(1, 1), (2, None), (3, None)])
        stops("join/expectation", 1, p, root("r3", **rows(u8(1), fe=u8(1))), "--expect", "1:1")
    with case("T4 a missing event does not take its neighbour's value"):
        p4, f4 = root("p4", **rows(u8(10, 30, 40))), root("f4", **rows(u8(10, 20, 40), fe=u8(10, 20, 40)))
        is_(pairs(p4, f4), [(10, 10), (30, None), (40, 40)])


def duplicates():
    p = root("p", **rows(u8(1, 2, 3)))
    for name, f in zip(("ROOT", "Parquet"), both("dup", **rows(u8(2, 1, 2, 3), fe=u8(22, 1, 2, 3)))):
        with case(f"R4 N2 T2 an event twice in the friend stops the join, {name}"):
            for how in ("left", "inner", "right", "outer"):
                done = stops("join/duplicate-key", 1, p, f, "--how", how)
                assert "event 2" in done.stderr or "event=2" in done.stderr, f"event 2 is not named: {done.stderr[-600:]}"
                assert os.path.basename(f) in done.stderr, "the file is not named"
    with case("R4 an event twice in the primary stops the join, also over two files"):
        stops("join/duplicate-key", 1, root("pd", **rows(u8(1, 2, 1))), root("f", **rows(u8(1, 2), fe=u8(1, 2))))
        a, b = root("pa", **rows(u8(1, 2))), root("pb", **rows(u8(3, 1)))
        refused("join/duplicate-key", 1, a, b, out=os.path.join(DIR, "refused.parquet"))


def big_events():
    for name, events in (("2^53", [B, B + 1, B + 2, B + 3, B + 4]), ("2^63", [2**63 - 1, 2**63, 2**63 + 1, 2**63 + 4096, 2**64 - 1]), ("2^32", [2**32 - 1, 2**32, 2**32 + 1, 0, 1])):
        with case(f"R5 N1 events around {name} match exactly, ROOT and Parquet"):
            p = root("p5", **rows(u8(*events)))
            for f in both("f5", **rows(u8(*events[::-1]), fe=u8(*events[::-1]))):
                is_(pairs(p, f), [(e, e) for e in events])
            for f in both("f5b", **rows(u8(*events[1::2]), fe=u8(*events[1::2]))):
                is_(pairs(p, f), [(e, e if e in events[1::2] else None) for e in events])
    with case("N3 an event of the primary is not cut to the friend's 32 bits"):
        p = root("n3", **rows(u8(2**32 + 1, 2)))
        for f in both("n3f", **rows(u4(1, 2), fe=u4(1, 2))):
            is_(pairs(p, f), [(2**32 + 1, None), (2, 2)])


def three_keys():
    p = root("p6", **rows(u8(1, 2, 1), lumi=[1, 1, 2]))
    f = root("f6", **rows(u8(1, 2, 1), lumi=[2, 1, 1], fe=u8(201, 102, 101)))
    with case("R6 run and event recur in two lumi blocks: all three keys count"):
        is_(pairs(p, f, columns=("luminosityBlock", "event", "fe_f")), [(1, 1, 101), (1, 2, 102), (2, 1, 201)])
    with case("R6 two keys are refused where they do not name each event once, used where they do"):
        done = run("join", p, "--with", "f:", f, "--on", "run,event", "-o", os.path.join(DIR, "refused.parquet"))
        assert done.returncode == 1 and ("key/not-unique" in done.stderr or "join/duplicate-key" in done.stderr), f"exit {done.returncode}: {done.stderr[-600:]}"
        p2, f2 = root("p62", **rows(u8(1, 2, 3), lumi=[1, 1, 2])), root("f62", **rows(u8(3, 1, 2), lumi=[9, 9, 9], fe=u8(3, 1, 2)))
        is_(pairs(p2, f2, "--on", "run,event", "-c", "fe_f"), [(1, 1), (2, 2), (3, 3)])
    with case("R6 the same event in two runs"):
        p3, f3 = root("p63", **rows(u8(7, 7), run=[1, 2])), root("f63", **rows(u8(7, 7), run=[2, 1], fe=u8(27, 17)))
        is_(pairs(p3, f3, columns=("run", "fe_f")), [(1, 17), (2, 27)])
    with case("R7 a side without the key column is refused, never joined by position"):
        bad = {("eventNumber" if k == "event" else k): v for k, v in rows(u8(1, 2, 3)).items()}
        good = root("f7", **rows(u8(3, 1, 2), fe=u8(3, 1, 2)))
        for path in both("p7", **bad):
            stops("key/absent", 3, path, good)
            stops("key/absent", 3, good, path)


def widths():
    ev = [B, B + 1, B + 2, B + 3]
    p = parquet("t1", **rows(u8(*ev)))
    with case("T1 u64 and i64 keys compare as exact integers above 2^53"):
        for f in both("t1i", **rows(np.array(ev[::-1], "i8"), fe=u8(*ev[::-1]))):
            is_(pairs(p, f), [(e, e) for e in ev])
        only = parquet("t1o", **rows(np.array([B], "i8"), fe=u8(B)))
        is_(pairs(p, only), [(e, e if e == B else None) for e in ev])
    with case("T1 an i64 primary and a u64 friend, keys of 16 and 32 bits"):
        q = root("t1q", run=np.array([1, 1], "i4"), luminosityBlock=np.array([1, 2], "u2"), event=np.array([B + 1, 5], "i8"))
        is_(pairs(q, root("t1r", **rows(u8(5, B + 1), lumi=[2, 1], fe=u8(5, B + 1)))), [(B + 1, B + 1), (5, 5)])
    with case("T1 a floating key is refused: above 2^53 it is no event number any more"):
        for f in both("t1f", **rows(np.array([float(e) for e in ev]), fe=u8(*ev))):
            stops("key/bad-type", 3, p, f)
            stops("key/bad-type", 3, f, p)
    with case("T1 a negative key and a null key are refused"):
        for f in both("t1n", **rows(np.array([1, -1], "i8"), fe=u8(1, 2))):
            stops("key/negative", 3, p, f)
        null = parquet("t1null", **rows(pa.array([B, None], pa.uint64()), fe=u8(1, 2)))
        stops("key/negative", 3, p, null)
    with case("T1 one file of the friend lacks `event`: refused"):
        a = parquet("t1a", **rows(u8(B), fe=u8(B)))
        b = parquet("t1b", run=u4(1), luminosityBlock=u4(1), fe=u8(1))
        done = run("join", p, "--with", "f:", a, b, "-o", os.path.join(DIR, "refused.parquet"))
        assert done.returncode == 3 and ("key/absent" in done.stderr or "source/schema-differs" in done.stderr), f"exit {done.returncode}: {done.stderr[-500:]}"


def payload_types():
    p = root("t7p", **rows(u8(1, 2, 3)))
    cols = {"i": np.array([-3, 4], "i4"), "ok": np.array([True, False]), "id": u8(B + 1, 2**64 - 1), "s": np.array([-2, 3], "i2"), "b": np.array([7, 255], "u1"), "w": np.array([1.5, -0.0], "f4"), "l": np.array([-B - 1, 2**63 - 1], "i8")}
    with case("T7 types stay and integers stay exact where events are missing"):
        out = os.path.join(DIR, "out.parquet")
        for f in both("t7f", **rows(u8(3, 1), **cols)):
            join(p, "--with", "f:", f, "-f", "-o", out)
            table = pq.read_table(out)
            types = {n: str(table.schema.field(n + "_f").type) for n in cols}
            is_(types, {"i": "int32", "ok": "bool", "id": "uint64", "s": "int16", "b": "uint8", "w": "float", "l": "int64"})
            for n, v in cols.items():
                is_(table[n + "_f"].to_pylist(), [v[1].item(), None, v[0].item()])
            is_(bits(table["w_f"].drop_null().to_numpy()).tolist(), [0x80000000, 0x3FC00000])
    with case("T6 the same payload name on both sides asks for a label"):
        a, b = root("t6a", **rows(u8(1, 2), x=u8(1, 2))), root("t6b", **rows(u8(2, 1), x=u8(2, 1)))
        refused("join/name-clash", 2, a, "--with", b, out=os.path.join(DIR, "refused.parquet"))
        is_(pairs(a, b, columns=("x", "x_f")), [(1, 1), (2, 2)])
    with case("T3 lists as payload"):
        f = parquet("t3", **rows(u8(2, 1), fe=[[2.0, 2.5], []]))
        is_(pairs(p, f), [(1, []), (2, [2.0, 2.5]), (3, None)])


def main():
    global DIR
    with scratch() as DIR:
        for part in (ordering, duplicates, big_events, three_keys, widths, payload_types):
            part()


if __name__ == "__main__":
    main()
    common.finish()
