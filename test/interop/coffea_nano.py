#!/usr/bin/env python3
"""What analysts read: coffea's NanoEventsFactory.from_parquet on `--layout nano` output must equal from_root on the source; and the null traps A1-A5 of the
domain checks: coffea reads a column with one null as garbage without a word, so nano layout must refuse, drop or fill."""
from coffea.nanoevents import NanoAODSchema, NanoEventsFactory

from common import *  # noqa: F403
import common

NanoAODSchema.warn_missing_crossrefs = False
NANO = [os.path.join(FIXTURES, f"nano_{i}.root") for i in (1, 2, 3)]
PLAIN = ["-c", "!note", "-c", "!x"]                              # coffea reads neither text nor, from ROOT, fixed arrays as collections


def from_root(path, tree="Events"):
    return NanoEventsFactory.from_root({path: tree}, mode="eager", schemaclass=NanoAODSchema).events()


def from_parquet(path):
    return NanoEventsFactory.from_parquet(path, mode="eager", schemaclass=NanoAODSchema).events()


def same(got, want):
    """None, or what differs: lists, option types and bits"""
    if isinstance(want, ak.Array) and ("?" in str(want.type) or "option" in str(want.type)):
        return None if repr(ak.to_list(got)) == repr(ak.to_list(want)) else "values differ (with None)"
    (gl, gv), (wl, wv) = ak_parts(ak.Array(ak.to_packed(got).layout)), ak_parts(ak.Array(ak.to_packed(want).layout))
    if len(gl) != len(wl) or any(not np.array_equal(a, b) for a, b in zip(gl, wl)):
        return "list lengths differ"
    if gv.dtype != wv.dtype:
        return f"{gv.dtype}, not {wv.dtype}"
    return None if np.array_equal(bits(gv), bits(wv)) else "values differ"


def compare(got, want, fields=None):
    problems, seen = [], 0
    for name in fields or want.fields:
        if name not in got.fields:
            problems.append(f"events.{name} is absent")
            continue
        for sub in want[name].fields or [None]:
            g, w = (got[name], want[name]) if sub is None else (got[name][sub] if sub in got[name].fields else None, want[name][sub])
            seen += 1
            why = "is absent" if g is None else same(g, w)
            if why:
                problems.append(f"{name}.{sub}: {why}")
    assert not problems, f"{len(problems)} of {seen}: " + "; ".join(problems[:8])
    return f"{seen} fields equal"


def write_friend(path, cols):
    with uproot.recreate(path) as f:
        f.mktree("Events", {k: (v.dtype if isinstance(v, np.ndarray) else v.type.content if v.ndim == 1 else f"var * {v.type.content.content}") for k, v in cols.items()})
        f["Events"].extend(cols)
    return path


def shuffled_friend(path, source, d, rows=None, tree="Events", jets="Jet"):
    """Jet_pt times two, a u8 and a bool of each event, shuffled"""
    t = read_tree(source, tree, KEYS + [f"{jets}_pt"])
    rows = np.random.default_rng(3).permutation(len(t["run"])) if rows is None else rows
    event = np.asarray(t["event"])[rows]
    cols = {**{k: np.asarray(t[k])[rows] for k in KEYS}, f"{jets}_pt": (t[f"{jets}_pt"] * np.float32(2))[rows], "category": (event % 5).astype("u1"), "passed": event % 2 == 0, "id": event | np.uint64(1 << 53)}
    return write_friend(os.path.join(d, path), cols)


def crossrefs(got, want):
    problems = []
    for what in ("GenPart.parent.pt", "GenPart.parent.pdgId", "GenPart.children.pt", "Electron.matched_gen.pt", "Muon.matched_gen.pdgId", "Jet.matched_gen.pt", "Jet.matched_muons.pt", "Muon.matched_jet.pt", "Electron.matched_jet.eta", "Muon.mass", "Jet.energy", "HLT.IsoMu24", "HLT.Ele32_WPTight_Gsf"):
        g, w = got, want
        try:
            for part in what.split("."):
                w = w[part] if part in w.fields else getattr(w, part)
        except (AttributeError, KeyError, ValueError):
            continue
        for part in what.split("."):
            g = g[part] if part in g.fields else getattr(g, part)
        if repr(ak.to_list(g)) != repr(ak.to_list(w)):
            problems.append(what)
        else:
            crossrefs.done.append(what)
    assert not problems, "differ: " + ", ".join(problems)


crossrefs.done = []


def real(d):
    source = os.path.join(DATA, "nano_dy.root")
    want = from_root(source)
    with case("nano_dy.root: every collection equals from_root") as notes:
        out = os.path.join(d, "dy.parquet")
        join(source, "--layout", "nano", "-o", out)
        notes.append(compare(from_parquet(out), want))
    with case("nano_dy.root: parents, matches, HLT") as notes:
        crossrefs(from_parquet(out), want)
        notes.append(", ".join(crossrefs.done))
        assert {"GenPart.parent.pt", "Electron.matched_gen.pt"} <= set(crossrefs.done), crossrefs.done
    with case("nano_dy.root: titles become __doc__"):
        wrong = wrong_titles(out, source)
        assert not wrong, f"{len(wrong)} titles, {list(wrong.items())[:3]}"
        assert from_parquet(out).Jet.pt.__doc__ == want.Jet.pt.__doc__ if want.Jet.pt.__doc__ else True
    with case("nano_dy.root with a shuffled friend: Jet.pt_jes, flat columns, everything else unchanged") as notes:
        out = os.path.join(d, "dyf.parquet")
        join(source, "--with", "jes:", shuffled_friend("jes.root", source, d), "--layout", "nano", "-o", out)
        got = from_parquet(out)
        assert same(got.Jet.pt_jes, want.Jet.pt * np.float32(2)) is None, "Jet.pt_jes"
        event = np.asarray(want.event)
        table = pq.read_table(out)
        assert np.array_equal(table["category_jes"].to_numpy(), event % 5) and np.array_equal(table["id_jes"].to_numpy(), event | np.uint64(1 << 53)), "flat columns"
        notes.append(compare(got, want, [f for f in want.fields if f not in ("Jet",)]))
        crossrefs(got, want)
    for name in ("nano_tt_v12", "pfnano", "nanoAOD_2015_CMS_Open_Data_ttbar", "nano_tree"):
        with case(f"{name}.root: Jet, Muon, GenPart, HLT equal from_root") as notes:
            source, out = os.path.join(DATA, name + ".root"), os.path.join(d, name + ".parquet")
            join(source, "--layout", "nano", "-o", out)
            want = from_root(source)
            notes.append(compare(from_parquet(out), want, [f for f in ("Jet", "Muon", "Electron", "GenPart", "HLT", "MET", "FatJet", "PV") if f in want.fields]))
            if name == "nano_tt_v12":                           # A4: uproot's counters, one a branch
                names = pq.read_schema(out).names
                assert "nJet" in names and "nJet_pt" not in names, "nJet must stay and nJet_pt go"


def traps(d):
    partial = os.path.join(FIXTURES, "friend_partial.root")
    out = os.path.join(d, "t.parquet")
    with case("A1: nano stops when a null would be written"):
        refused("join/null-in-nano", 1, *NANO, "--with", "fr:", partial, "--layout", "nano", *PLAIN, "-c", "!tag_fr", out=out)
    with case("A1: --missing drop reads right"):
        join(*NANO, "--with", "fr:", partial, "--layout", "nano", "--missing", "drop", *PLAIN, "-c", "!tag_fr", "-f", "-o", out)
        got, table = from_parquet(out), pq.read_table(out)
        f = read_tree(partial, "Events")
        at = {k: i for i, k in enumerate(key_tuples(f))}
        rows = np.array([at[k] for k in zip(*(table[k].to_pylist() for k in KEYS))])
        assert len(rows) == 221 and np.array_equal(np.asarray(got.event), table["event"].to_numpy())
        for n in ("chk", "category", "passSel", "shift", "signedId", "score"):
            assert difference(table[n + "_fr"], f[n][rows]) is None, n
        assert same(got.Jet.btag_fr, f["Jet_btag"][rows]) is None, "Jet.btag_fr"
    with case("A1: --missing fill=0 reads right in coffea, also bool and lists, and is flagged"):
        # a filled list is empty and would disagree with the primary's nJet: flat columns and the friend's own collection only
        join(*NANO, "--with", "fr:", partial, "--layout", "nano", "--missing", "fill=0", *PLAIN, "-c", "!tag_fr", "-c", "!Jet_*_fr", "-f", "-o", out)
        table = pq.read_table(out)
        flag = table["fr_missing"].to_numpy()
        assert (flag > 0).sum() == 79 and all(table[n].null_count == 0 for n in table.column_names)
        for n in ("chk_fr", "category_fr", "passSel_fr", "shift_fr", "signedId_fr"):
            assert not np.asarray(table[n].to_numpy(zero_copy_only=False))[flag > 0].any(), n
        assert all(len(v) == 0 for v, m in zip(table["Sub_pt_fr"].to_pylist(), flag) if m), "a filled list is not empty"
        got = from_parquet(out)
        assert np.array_equal(np.asarray(got["fr"]["missing"]), flag), "events.fr.missing"
    with case("A1: arrow layout says which columns coffea would misread, and coffea does misread them"):
        done = join(*NANO, "--with", "fr:", partial, *PLAIN, "-f", "-o", out)
        assert "coffea" in done.stderr + done.stdout, f"no line names coffea: {done.stderr[-600:]}"
    with case("A2: a text column is refused by name; --drop-unreadable leaves it out; then coffea opens the file"):
        done = refused("join/not-nano", 2, NANO[0], "--layout", "nano", out=os.path.join(d, "a2.parquet"))
        assert "note" in done.stderr, done.stderr[-500:]
        join(NANO[0], "--layout", "nano", "--drop-unreadable", "-f", "-o", out)
        assert "note" not in pq.read_schema(out).names
        assert pa.types.is_list(pq.read_schema(out).field("x").type), "a fixed array must be a plain LIST"
        assert len(from_parquet(out)) == 100
    with case("A3: fixtures in nano layout equal from_root; all fields REQUIRED; one list brings its counter"):
        join(NANO[0], "--layout", "nano", *PLAIN, "-f", "-o", out)
        want = from_root(NANO[0])
        compare(from_parquet(out), want, ["Jet", "Muon", "GenPart", "HLT", "MET", "Flag", "Mix", "LHEPdfWeight"])   # PV: coffea wants x, y, z of it
        crossrefs(from_parquet(out), want)
        assert not [f.name for f in pq.read_schema(out) if f.nullable], "a field is nullable"
        join(NANO[0], "--layout", "nano", "-c", "Jet_pt", "-f", "-o", out)
        assert pq.read_schema(out).names == [*KEYS, "nJet", "Jet_pt"], pq.read_schema(out).names
        four = [word for n in ("pt", "eta", "phi", "mass") for word in ("-c", f"Jet_{n}")]      # coffea makes no Jet of less than a four-vector
        join(NANO[0], "--layout", "nano", *four, "-f", "-o", out)
        assert same(from_parquet(out).Jet.pt, want.Jet.pt) is None
    with case("A5: a friend's list of another length than the primary's nJet stops with the first event"):
        for layout in ("arrow", "nano"):
            done = refused("join/list-length", 1, NANO[0], "--with", "fr:", os.path.join(FIXTURES, "hostile_njet.root"), "--layout", layout, *PLAIN, out=os.path.join(d, "a5.parquet"))
            t = read_tree(NANO[0], "Events", KEYS)
            assert str(t["event"][21]) in done.stderr, f"event {t['event'][21]} is not named: {done.stderr[-500:]}"


def main():
    with scratch() as d:
        traps(d)
        if os.path.isdir(DATA):
            real(d)
        else:
            skip("coffea on real files", f"no {os.path.relpath(DATA)}: set COLWEAVE_SHARED")


if __name__ == "__main__":
    main()
    common.finish()
