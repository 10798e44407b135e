#!/usr/bin/env python3
"""Joins files written by pyarrow, DuckDB, polars and awkward (and shaped as Spark writes them) as friends, and compares every
cell with what pyarrow reads of the same file; folders of partitions with what DuckDB reads of them."""
import datetime
import decimal

import duckdb
import polars as pl
import pyarrow.dataset as ds
import pyarrow.ipc

from common import *  # noqa: F403
import common
from equal_duckdb import same

ROWS = 3000
rng = np.random.default_rng(20261125)


def is_list(t):
    return pa.types.is_list(t) or pa.types.is_large_list(t) or pa.types.is_fixed_size_list(t)


def flattened(table):
    """{column as colweave names it: Arrow array}: structs with dots, also those in lists; dictionaries as their values"""
    out = {}

    def visit(name, col):
        t = col.type
        if pa.types.is_dictionary(t):
            return visit(name, col.dictionary_decode())
        if isinstance(t, pa.BaseExtensionType):
            return visit(name, col.storage)
        if pa.types.is_struct(t):
            for i, f in enumerate(t):
                visit(f"{name}.{f.name}", pc.struct_field(col, [i]))
        elif is_list(t) and (pa.types.is_struct(t.value_type) or isinstance(t.value_type, pa.BaseExtensionType)):
            offsets = np.concatenate([[0], np.cumsum(np.nan_to_num(pc.fill_null(pc.list_value_length(col), 0).to_numpy(zero_copy_only=False)))]).astype("i8")
            items = col.flatten()
            items = items.storage if isinstance(items.type, pa.BaseExtensionType) else items
            if not pa.types.is_struct(items.type):
                out[name] = pa.LargeListArray.from_arrays(pa.array(offsets), items)
            else:
                for i, f in enumerate(items.type):
                    out[f"{name}.{f.name}"] = pa.LargeListArray.from_arrays(pa.array(offsets), pc.struct_field(items, [i]))
        else:
            out[name] = col

    for name, col in zip(table.column_names, table.columns):
        col = col.combine_chunks() if isinstance(col, pa.ChunkedArray) else col
        visit(name, pa.concat_arrays(col.chunks) if isinstance(col, pa.ChunkedArray) else col)
    return out


def table_of(n):
    event = pa.array(rng.permutation(np.arange(1, n + 1, dtype="i8") * 10**14 + 7))
    counts = rng.integers(0, 6, n)
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]).astype("i4"))
    k = int(counts.sum())
    f4 = lambda m: pa.array(rng.normal(40, 9, m).astype("f4"))
    jets = pa.StructArray.from_arrays([f4(k), pa.array(rng.normal(size=k)), pa.array(rng.integers(0, 200, k).astype("u1"))], ["pt", "eta", "id"])
    return pa.table({
        "run": pa.array(np.full(n, 362000, "u4")), "luminosityBlock": pa.array((np.arange(n) // 100).astype("u4")), "event": event,
        "Jet": pa.ListArray.from_arrays(offsets, jets), "Tau_pt": pa.ListArray.from_arrays(offsets, f4(k)),
        "MET": pa.StructArray.from_arrays([f4(n), f4(n)], ["pt", "phi"]), "weight": pa.array(rng.normal(size=n), mask=rng.random(n) < 0.2),
        "count": pa.array(rng.integers(-9, 9, n).astype("i2")), "flag": pa.array(rng.random(n) < 0.3),
        "path": pa.array([f"HLT_{i % 5}µ" for i in range(n)]).dictionary_encode(), "text": pa.array([f"{i}" * (i % 4) for i in rng.integers(0, 10**6, n)]),
    })


def primary_of(d, table):
    """The same events in order of event number, so that no friend is aligned"""
    order = np.argsort(table["event"].to_numpy())
    path = os.path.join(d, "primary.parquet")
    pq.write_table(pa.table({k: table[k].combine_chunks().take(pa.array(order)) for k in KEYS} | {"row": pa.array(np.arange(len(order)))}), path)
    return path, order


def check(d, primary, order, friend, truth, unread=(), words=()):
    """joins `friend` to the primary and compares with `truth` (columns of the friend in its own order)"""
    out = os.path.join(d, "out.parquet")
    join(primary, "--with", friend, "--drop-unreadable", *words, "-f", "-o", out)
    got = pq.read_table(out)
    wanted = {n: c for n, c in truth.items() if n not in KEYS and n not in unread}
    names = [n for n in got.column_names if n not in KEYS and n != "row" and not n.endswith("_missing")]
    assert sorted(names) == sorted(wanted), f"columns {sorted(set(names) ^ set(wanted))} differ"
    problems = []
    for n, col in wanted.items():
        col = pa.concat_arrays(col.chunks) if isinstance(col, pa.ChunkedArray) else col
        if (why := same(got[n], col.take(pa.array(order)))) is not None:
            problems.append(f"{n}: {why}")
    assert not problems, "; ".join(problems[:5])
    return f"{got.num_rows} rows, {len(wanted)} columns"


def files(d, table):
    """(name, path, columns that are refused, casts of the truth)"""
    at = lambda name: os.path.join(d, name)
    for codec in ["none", "snappy", "gzip", "zstd", "lz4", "brotli"]:
        for version in ["1.0", "2.0"]:
            pq.write_table(table, at("f.parquet"), compression=codec, data_page_version=version, row_group_size=1000, data_page_size=4000)
            yield f"pyarrow {codec}, pages {version}", at("f.parquet"), table
    text = pa.array([f"{i % 7}" for i in range(ROWS // 2)] + [f"long text number {i} " * 3 for i in range(ROWS - ROWS // 2)])
    mixed = table.append_column("late", text).append_column("late_i", pa.array(np.concatenate([np.arange(ROWS // 2) % 5, rng.integers(0, 1 << 60, ROWS - ROWS // 2)])))
    pq.write_table(mixed, at("f.parquet"), dictionary_pagesize_limit=3000, data_page_size=1000)
    yield "pyarrow, a dictionary given up in the middle of a chunk", at("f.parquet"), mixed
    pq.write_table(table, at("f.parquet"), use_compliant_nested_type=False, version="1.0", store_schema=False)
    yield "pyarrow, items called item, format 1.0", at("f.parquet"), table
    con = duckdb.connect()
    con.register("t", table)
    for codec in ["zstd", "snappy", "gzip", "lz4_raw", "brotli", "uncompressed"]:
        con.execute(f"copy t to '{at('f.parquet')}' (format parquet, compression {codec}, row_group_size 2048)")
        yield f"DuckDB {codec}", at("f.parquet"), pq.read_table(at("f.parquet"))
    frame = pl.from_arrow(table)
    for codec in ["zstd", "snappy", "gzip", "lz4", "brotli", "uncompressed"]:
        frame.write_parquet(at("f.parquet"), compression=codec, row_group_size=700)
        yield f"polars {codec}", at("f.parquet"), pq.read_table(at("f.parquet"))
    for codec in ["uncompressed", "lz4", "zstd"]:
        frame.write_ipc(at("f.arrow"), compression=codec)
        yield f"polars IPC {codec}", at("f.arrow"), table
        frame.write_ipc(at("f.arrow"), compression=codec, compat_level=pl.CompatLevel.oldest())
        yield f"polars IPC {codec}, oldest types", at("f.arrow"), table
    frame.write_ipc_stream(at("f.arrows"))
    yield "polars IPC stream", at("f.arrows"), table
    for codec in [None, "lz4", "zstd"]:
        options = pa.ipc.IpcWriteOptions(compression=codec)
        with pa.ipc.new_file(at("f.arrow"), table.schema, options=options) as w:
            w.write_table(table, max_chunksize=500)
        yield f"pyarrow IPC {codec}", at("f.arrow"), table
    large = table.set_column(table.schema.get_field_index("Tau_pt"), "Tau_pt", table["Tau_pt"].cast(pa.large_list(pa.float32())))
    with pa.ipc.new_stream(at("f.arrows"), large.schema, options=pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)) as w:
        w.write_table(large, max_chunksize=500)
    yield "pyarrow IPC stream, large lists", at("f.arrows"), large
    jets = ak.from_arrow(table["Jet"])
    array = ak.Array({k: ak.from_arrow(table[k]) for k in [*KEYS, "Tau_pt", "text"]} | {"Jet": ak.zip({k: jets[k] for k in jets.fields}), "MET": ak.from_arrow(table["MET"]), "fixed": ak.from_numpy(np.arange(3 * ROWS, dtype="f4").reshape(ROWS, 3))})
    for name, options in [("", {}), (" with extension types", {"extensionarray": True}), (" list_to32", {"list_to32": True})]:
        ak.to_parquet(array, at("f.parquet"), **options)
        raw = pq.ParquetFile(at("f.parquet")).read()
        yield f"awkward{name}: Jet.pt and MET.pt", at("f.parquet"), raw
    ak.to_feather(array, at("f.feather"))
    yield "awkward feather", at("f.feather"), pa.ipc.open_file(at("f.feather")).read_all()


def spark(d, table):
    """As Spark writes: unsigned numbers as decimal(20,0), int96, two-level lists of its legacy mode"""
    events = table["event"].to_numpy()
    columns = {"run": table["run"].cast(pa.int64()), "luminosityBlock": table["luminosityBlock"].cast(pa.int64()),
               "event": pa.array([decimal.Decimal(int(e)) for e in events], pa.decimal128(20, 0)), "Tau_pt": table["Tau_pt"],
               "big": pa.array([decimal.Decimal(int(e) + 2**63) for e in events], pa.decimal128(20, 0)), "byte": pa.array((events % 100).astype("i1"))}
    when = pa.array([datetime.datetime(2026, 1, 1)] * len(events), pa.timestamp("us"))
    path = os.path.join(d, "f.parquet")
    truth = {"Tau_pt": table["Tau_pt"].combine_chunks(), "big": pa.array([int(e) + 2**63 for e in events], pa.uint64()), "byte": columns["byte"]}
    for name, options in [("Spark", {"compression": "snappy", "use_deprecated_int96_timestamps": True}),
                          ("Spark, legacy", {"compression": "gzip", "use_compliant_nested_type": False, "version": "1.0"})]:
        pq.write_table(pa.table({**columns, "when": when}), path, store_schema=False, **options)
        yield name, path, truth


def hive(d, table):
    """(name, folder): the same rows by every writer of partitions"""
    days = np.arange(ROWS) % 4
    part = table.append_column("era", pa.array([f"Run2022{'CDEF'[i]}" for i in days])).append_column("day", pa.array(days.astype("i8")))
    ds.write_dataset(part, os.path.join(d, "pa"), format="parquet", partitioning=ds.partitioning(pa.schema([part.schema.field("era"), part.schema.field("day")]), flavor="hive"))
    yield "pyarrow", os.path.join(d, "pa")
    con = duckdb.connect()
    con.register("t", part)
    con.execute(f"copy t to '{d}/duck' (format parquet, partition_by (era, day))")
    yield "DuckDB", os.path.join(d, "duck")
    con.execute(f"copy t to '{d}/kept' (format parquet, partition_by (era, day), write_partition_columns true)")
    yield "DuckDB, columns kept in the files", os.path.join(d, "kept")
    pl.from_arrow(part).write_parquet(os.path.join(d, "polars"), partition_by=["era", "day"])
    yield "polars", os.path.join(d, "polars")


def refusals(d, primary, table):
    n = table.num_rows
    ints = pa.array(np.arange(n, dtype="i4"))
    odd = {"run-end encoded": pa.RunEndEncodedArray.from_arrays(pa.array([n], pa.int32()), pa.array([1.5])),
           "list view": pa.array([[1]] * n, pa.list_view(pa.int32())), "large list view": pa.array([[1]] * n, pa.large_list_view(pa.int32()))}
    for name, col in odd.items():
        with case(f"refused by name: {name}"):
            path = os.path.join(d, "odd.arrow")
            whole = table.select(KEYS).append_column("odd", col)
            with pa.ipc.new_file(path, whole.schema) as w:
                w.write_table(whole)
            done = refused("source/unreadable-column", 3, primary, "--with", path, out=os.path.join(d, "no.parquet"))
            assert '"odd"' in done.stderr, done.stderr
    typed = {"float16": pa.array(np.ones(n, "f2")), "uuid": pa.array([b"x" * 16] * n, pa.uuid()), "binary[16]": pa.array([b"x" * 16] * n, pa.binary(16)),
             "date": ints.cast(pa.date32()), "time": ints.cast(pa.time32("ms")), "timestamp": ints.cast(pa.int64()).cast(pa.timestamp("us")),
             "decimal(9,2)": pa.array([decimal.Decimal("1.25")] * n, pa.decimal128(9, 2)), "binary": pa.array([b"\xff"] * n)}
    for name, col in typed.items():
        with case(f"Parquet {name} is named when asked for, left out otherwise"):
            path = os.path.join(d, "odd.parquet")
            pq.write_table(table.select(KEYS).append_column("odd", col).append_column("good", ints), path)
            done = refused("source/unreadable-column", 3, primary, "--with", path, "-c", "odd", out=os.path.join(d, "no.parquet"))
            assert name in done.stderr, done.stderr
            out = os.path.join(d, "out.parquet")
            join(primary, "--with", path, "--drop-unreadable", "-f", "-o", out)
            assert "good" in pq.read_schema(out).names and "odd" not in pq.read_schema(out).names


def main():
    table = table_of(ROWS)
    with scratch() as d:
        primary, order = primary_of(d, table)
        for name, path, truth in files(d, table):
            with case(name) as notes:
                notes.append(check(d, primary, order, path, flattened(truth)))
        for name, path, truth in spark(d, table):
            with case(name) as notes:
                notes.append(check(d, primary, order, path, truth, unread=["when"]))
        for name, folder in hive(d, table):
            with case(f"partitions of {name}: era as text, day as integer") as notes:
                truth = duckdb.sql(f"select * from read_parquet('{folder}/**/*.parquet', hive_partitioning = true)").to_arrow_table()
                at = {e: i for i, e in enumerate(truth["event"].to_pylist())}
                rows = np.array([at[e] for e in np.sort(table["event"].to_numpy()).tolist()])
                notes.append(check(d, primary, rows, folder, flattened(truth)))
                verified(os.path.join(d, "out.parquet"), primary, folder)
        with case("a file in the wrong partition is refused"):
            folder = os.path.join(d, "kept")
            os.rename(os.path.join(folder, "era=Run2022C", "day=0"), os.path.join(folder, "era=Run2022C", "day=9"))
            refused("source/schema-differs", 3, primary, "--with", folder, out=os.path.join(d, "no.parquet"))
        refusals(d, primary, table)


if __name__ == "__main__":
    main()
    common.finish()
