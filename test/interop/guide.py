#!/usr/bin/env python3
"""The snippets of man 7 colweave-guide, taken from the page and run on fixtures: each way of applying a row map gives the histogram of the join."""
from common import *  # noqa: F403

PAGE = os.path.join(TOP, "man", "colweave-guide.7")


def snippets():
    """name -> text, as man shows it"""
    text = open(PAGE, encoding="utf8").read()
    found = re.findall(r'\.\\" snippet (\w+)\n\.EX\n(.*?)\.EE\n', text, re.S)
    plain = lambda line: line.removeprefix("\\&").replace("\\(aq", "'").replace("\\-", "-").replace("\\e", "\\")
    return {name: "\n".join(map(plain, body.split("\n"))) for name, body in found}


def run_here(name, code, variables):
    exec(compile(code, f"man 7 colweave-guide, {name}", "exec"), variables)
    return variables


def main():
    code = snippets()
    with scratch() as d:
        for name in os.listdir(FIXTURES):
            if re.fullmatch(r"nano_\d\.root|friend_regrouped_\d\.root", name):
                os.symlink(os.path.join(FIXTURES, name), os.path.join(d, name))
        os.chdir(d)
        with case("the map of the guide is made and verified"):
            words = shlex.split(code["map"])
            assert words[:2] == ["colweave", "join"], words
            glob = lambda word: sorted(n for n in os.listdir(d) if re.fullmatch(word.replace(".", r"\.").replace("*", ".*"), n)) if "*" in word else [word]
            join(*[name for word in words[2:] for name in glob(word)])
            verified("map.parquet", *(n for n in os.listdir(d) if n.endswith(".root")))
        with case("one entry of a map that points at another event is found and named"):
            table = pq.read_table("map.parquet")
            entries = table["friend_entry"].to_numpy().copy()
            entries[[7, 8]] = entries[[8, 7]]
            at = table.schema.get_field_index("friend_entry")
            kept = {b"colweave.receipt": pq.read_metadata("map.parquet").metadata[b"colweave.receipt"]}
            pq.write_table(table.set_column(at, table.schema.field(at), pa.array(entries)).replace_schema_metadata(kept), "bad.parquet")
            done = run("verify", "bad.parquet", "--against", *(n for n in os.listdir(d) if n.endswith(".root")))
            assert done.returncode == 1 and "do not say where 2 events of friend are" in done.stdout, done.stdout + done.stderr
            os.remove("bad.parquet")
        join("nano_1.root", "nano_2.root", "nano_3.root", "--with", "friend:", "friend_regrouped_1.root", "friend_regrouped_2.root", "-o", "joined.parquet")
        table = ak.from_parquet("joined.parquet", columns=["MET_pt", "nJet", "puWeight_friend"])
        table = table[(table.nJet >= 2) & ~ak.is_none(table.puWeight_friend)]
        want, _ = np.histogram(table.MET_pt, bins=20, range=(0, 200), weights=table.puWeight_friend)
        assert np.count_nonzero(want) > 5 and np.isfinite(np.asarray(want)).all(), want
        base = {}
        with case("the reader of the guide"):
            run_here("reader", code["reader"], base)
        for name in ("awkward", "coffea", "rdataframe"):
            with case(f"the histogram by {name} and the row map is that of the join"):
                if name == "coffea":
                    from coffea.nanoevents import NanoAODSchema
                    NanoAODSchema.warn_missing_crossrefs = False
                got = run_here(name, code[name], dict(base))["histogram"]
                assert np.allclose(got, want, rtol=1e-6, atol=0), f"{got} is not {want}"
        os.chdir(TOP)


main()
finish()
