#!/usr/bin/env python3
"""One left join of the fixtures, opened by pyarrow, DuckDB, polars and awkward: each must see the right types and the same values. And the Arrow stream of `-o -`.
  readers.py [OUT.parquet]"""
import io

import duckdb
import polars as pl

from common import *  # noqa: F403
import common

PRIMARY = [os.path.join(FIXTURES, f"nano_{i}.root") for i in (1, 2, 3)]
JOIN = [*PRIMARY, "--with", "fr:", os.path.join(FIXTURES, "friend_partial.root")]

ARROW = {
    "run": pa.uint32(), "luminosityBlock": pa.uint32(), "event": pa.uint64(), "odd_b1": pa.bool_(), "odd_i1": pa.int8(), "odd_u1": pa.uint8(), "odd_i2": pa.int16(), "odd_u2": pa.uint16(), "odd_i4": pa.int32(), "odd_u4": pa.uint32(),
    "odd_i8": pa.int64(), "odd_u8": pa.uint64(), "odd_f4": pa.float32(), "odd_f8": pa.float64(), "note": pa.string(), "HLT_IsoMu24": pa.bool_(), "PV_npvs": pa.uint8(), "nJet": pa.uint32(), "chk_fr": pa.uint64(), "tag_fr": pa.string(), "fr_missing": pa.uint8(),
}
LISTS = {"Jet_pt": pa.float32(), "Jet_jetId": pa.int32(), "Muon_tightId": pa.bool_(), "Mix_u8": pa.uint64(), "Mix_i8": pa.int64(), "Mix_i1": pa.int8(), "Mix_u2": pa.uint16(), "Mix_f8": pa.float64(), "Sub_id_fr": pa.uint64(), "Jet_btag_fr": pa.float32()}
DUCK = {"bool": "BOOLEAN", "int8": "TINYINT", "uint8": "UTINYINT", "int16": "SMALLINT", "uint16": "USMALLINT", "int32": "INTEGER", "uint32": "UINTEGER", "int64": "BIGINT", "uint64": "UBIGINT", "float": "FLOAT", "double": "DOUBLE", "string": "VARCHAR"}
POLARS = {"bool": pl.Boolean, "int8": pl.Int8, "uint8": pl.UInt8, "int16": pl.Int16, "uint16": pl.UInt16, "int32": pl.Int32, "uint32": pl.UInt32, "int64": pl.Int64, "uint64": pl.UInt64, "float": pl.Float32, "double": pl.Float64, "string": pl.String}


def same_table(got, want, names):
    """values and nulls by bits"""
    problems = []
    for n in names:
        g, w = got[n].combine_chunks(), want[n].combine_chunks()
        valid = pc.is_valid(w).to_numpy(zero_copy_only=False)
        if not np.array_equal(pc.is_valid(g).to_numpy(zero_copy_only=False), valid):
            problems.append(f"{n}: nulls differ")
            continue
        (gl, gv), (wl, wv) = arrow_parts(g.filter(pa.array(valid))), arrow_parts(w.filter(pa.array(valid)))
        if len(gl) != len(wl) or any(not np.array_equal(a, b) for a, b in zip(gl, wl)) or gv.dtype != wv.dtype or not np.array_equal(bits(gv) if gv.dtype != object else gv, bits(wv) if wv.dtype != object else wv):
            problems.append(f"{n}: values differ")
    assert not problems, "; ".join(problems[:8])


def check_pyarrow(path):
    file = pq.ParquetFile(path)
    schema = file.schema_arrow
    wrong = [f"{n}: {schema.field(n).type}, not {t}" for n, t in ARROW.items() if schema.field(n).type != t]
    for n, t in LISTS.items():
        field = schema.field(n)
        if not pa.types.is_list(field.type) or field.type.value_type != t or field.type.value_field.nullable:
            wrong.append(f"{n}: {field.type}")
    assert not wrong, "; ".join(wrong)
    assert b"colweave.receipt" in (file.metadata.metadata or {}), "no colweave.receipt in the metadata"
    flat = [i for i in range(file.metadata.num_columns) if file.metadata.row_group(0).column(i).path_in_schema in KEYS]
    for i in flat:
        column = file.metadata.row_group(0).column(i)
        assert column.statistics is not None and column.statistics.has_min_max, f"no statistics on {column.path_in_schema}"
    whole = pq.read_table(path, page_checksum_verification=True)
    event = whole["event"].to_pylist()
    least, most = min(event), max(event)
    column = next(file.metadata.row_group(0).column(i) for i in flat if file.metadata.row_group(0).column(i).path_in_schema == "event")
    assert file.metadata.num_row_groups > 1 or (column.statistics.min, column.statistics.max) == (least, most), f"statistics of event: {column.statistics.min}, {column.statistics.max}, not {least}, {most}"
    return whole


def check_duckdb(path, want):
    con = duckdb.connect()
    con.execute("set threads to 1")
    types = {r[0]: r[1] for r in con.execute(f"describe select * from read_parquet('{path}')").fetchall()}
    wrong = [f"{n}: {types[n]}, not {DUCK[str(t)]}" for n, t in ARROW.items() if types[n] != DUCK[str(t)]]
    wrong += [f"{n}: {types[n]}, not {DUCK[str(t)]}[]" for n, t in LISTS.items() if types[n] != DUCK[str(t)] + "[]"]
    assert not wrong, "; ".join(wrong)
    got = con.sql(f"select * from read_parquet('{path}')").to_arrow_table()
    same_table(got, want, want.column_names)
    n = con.execute(f"select count(*) from read_parquet('{path}') where event = 9007199254740993").fetchone()[0]
    assert n == want["event"].to_pylist().count(2**53 + 1), f"predicate on event finds {n}"


def check_polars(path, want):
    frame = pl.read_parquet(path)
    wrong = [f"{n}: {frame.schema[n]}" for n, t in ARROW.items() if frame.schema[n] != POLARS[str(t)]]
    wrong += [f"{n}: {frame.schema[n]}" for n, t in LISTS.items() if frame.schema[n] != pl.List(POLARS[str(t)])]
    assert not wrong, "; ".join(wrong)
    got = frame.to_arrow()
    same_table(got, want, want.column_names)
    n = pl.scan_parquet(path).filter(pl.col("event") == 2**53 + 1).select(pl.len()).collect().item()
    assert n == want["event"].to_pylist().count(2**53 + 1), f"predicate on event finds {n}"


def check_awkward(path, want):
    a = ak.from_parquet(path)
    assert a.fields == want.column_names, "fields differ"
    types = {n: str(a[n].type.content) for n in ("event", "odd_f4", "Jet_pt", "Muon_tightId", "chk_fr", "Jet_btag_fr")}
    expect = {"event": "uint64", "odd_f4": "float32", "Jet_pt": "var * float32", "Muon_tightId": "var * bool", "chk_fr": "?uint64", "Jet_btag_fr": "option[var * float32]"}
    assert types == expect, f"{types}, not {expect}"
    for n in want.column_names:
        col = want[n].combine_chunks()
        valid = pc.is_valid(col).to_numpy(zero_copy_only=False)
        why = rows_differ(col, ak.drop_none(a[n], axis=0) if not valid.all() else a[n], np.where(valid, np.cumsum(valid) - 1, -1))
        assert why is None or "<U" in why or "option" in why, f"{n}: {why}"


def main():
    with scratch() as d:
        out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(d, "out.parquet")
        want = None
        with case("pyarrow: types, lists, receipt, statistics, page checksums"):
            if len(sys.argv) < 2:
                join(*JOIN, "-o", out)
            want = check_pyarrow(out)
        if want is None:
            return
        for name, check in (("DuckDB", check_duckdb), ("polars", check_polars), ("awkward", check_awkward)):
            with case(f"{name}: types, values, nulls"):
                check(out, want)
        for codec in ("snappy", "none"):
            with case(f"--compression {codec} read by all"):
                other = os.path.join(d, codec + ".parquet")
                join(*JOIN, "--compression", codec, "-o", other)
                same_table(pq.read_table(other, page_checksum_verification=True), want, want.column_names)
                check_duckdb(other, want)
                check_polars(other, want)
        with case("nano layout read by all, nothing nullable"):
            other = os.path.join(d, "nano.parquet")
            join(*JOIN, "--layout", "nano", "--missing", "drop", "--drop-unreadable", "-o", other)
            schema = pq.read_schema(other)
            loose = [f.name for f in schema if f.nullable or (pa.types.is_list(f.type) and f.type.value_field.nullable)]
            assert not loose, f"nullable: {loose[:5]}"
            nano = pq.read_table(other)
            same_table(duckdb.sql(f"select * from read_parquet('{other}')").to_arrow_table(), nano, nano.column_names)
            same_table(pl.read_parquet(other).to_arrow(), nano, nano.column_names)
        with case("-o - is an Arrow stream that pyarrow reads"):
            done = run("join", *JOIN, "-o", "-", binary=True)
            assert done.returncode == 0, done.stderr.decode()[-1000:]
            got = pa.ipc.open_stream(io.BytesIO(done.stdout)).read_all()
            assert got.column_names == want.column_names, "columns differ"
            wrong = [f"{n}: {got.schema.field(n).type}, not {t}" for n, t in ARROW.items() if got.schema.field(n).type != t]
            assert not wrong, "; ".join(wrong)
            same_table(got, want, want.column_names)
        with case("a Parquet output is an input again"):
            again = os.path.join(d, "again.parquet")
            join(out, "-o", again)
            back = pq.read_table(again)
            same_table(back, want, [n for n in want.column_names])
        for friend, columns in (("friend_i64.parquet", ("chk", "w", "n", "ok", "u", "channel", "deltas")), ("friend_pages_v2.parquet", ("chk", "w", "n", "ok", "u", "deltas")), ("friend.arrows", ("chk", "w", "deltas"))):
            with case(f"friend from {friend}"):
                path, other = os.path.join(FIXTURES, friend), os.path.join(d, "pf.parquet")
                join(*PRIMARY, "--with", "pf:", path, "-f", "-o", other)
                f = pa.ipc.open_stream(path).read_all() if friend.endswith("arrows") else pq.read_table(path)
                got = pq.read_table(other)
                at = {k: i for i, k in enumerate(zip(*(f[k].to_pylist() for k in KEYS)))}
                rows = pa.array([at.get(k) for k in zip(*(got[k].to_pylist() for k in KEYS))], pa.int64())
                expect = f.take(rows)
                if pa.types.is_dictionary(f.schema.field(columns[-2]).type) or "channel" in columns:
                    expect = expect.set_column(expect.column_names.index("channel"), "channel_pf", expect["channel"].cast(pa.string()))
                expect = expect.rename_columns([c if c in KEYS or c.endswith("_pf") else c + "_pf" for c in expect.column_names])
                same_table(got, expect, [c + "_pf" for c in columns])


if __name__ == "__main__":
    main()
    common.finish()
