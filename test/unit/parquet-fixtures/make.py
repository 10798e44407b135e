"""Writes the Parquet and Arrow files of test/unit/parquet-*.test.ts and arrow-*.test.ts, and what they hold as JSON.

    $(test/rigs/venv.sh) test/unit/parquet-fixtures/make.py             small files, beside this script (committed)
    $(test/rigs/venv.sh) test/unit/parquet-fixtures/make.py DIR ROWS    the same shapes with ROWS rows, and peers' files, in DIR

In the JSON, 64-bit integers are strings and floats are their bits, so that nothing is lost on the way.
"""

import decimal
import json
import pathlib
import sys

import awkward as ak
import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).parent
OUT = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
ROWS = int(sys.argv[2]) if len(sys.argv) > 2 else 32
WIDE = len(sys.argv) > 1
rng = np.random.default_rng(20260730)
expected = {}
pool = {}  # values as JSON to their number: files hold the same columns often

INTS = {"i8": pa.int8(), "u8": pa.uint8(), "i16": pa.int16(), "u16": pa.uint16(), "i32": pa.int32(), "u32": pa.uint32(),
        "i64": pa.int64(), "u64": pa.uint64()}
NAMES = {**{v: k for k, v in INTS.items()}, pa.bool_(): "bool", pa.float32(): "f32", pa.float64(): "f64",
         pa.string(): "utf8", pa.large_string(): "utf8", pa.string_view(): "utf8"}
is_list = lambda t: pa.types.is_list(t) or pa.types.is_large_list(t) or pa.types.is_fixed_size_list(t)


# -- what a file holds, by pyarrow ---------------------------------------------------------------------------------------
def bits_type(t):
    """The type with unsigned integers for floats: a view shows their bits."""
    if t == pa.float32(): return pa.uint32()
    if t == pa.float64(): return pa.uint64()
    if pa.types.is_list(t): return pa.list_(t.value_field.with_type(bits_type(t.value_type)))
    if pa.types.is_large_list(t): return pa.large_list(t.value_field.with_type(bits_type(t.value_type)))
    if pa.types.is_fixed_size_list(t): return pa.list_(t.value_field.with_type(bits_type(t.value_type)), t.list_size)
    if pa.types.is_struct(t): return pa.struct([f.with_type(bits_type(f.type)) for f in t])
    return t


def plain(t):
    if pa.types.is_dictionary(t): return plain(t.value_type)
    if is_list(t): return pa.list_(plain(t.value_type))
    if pa.types.is_struct(t): return pa.struct([f.with_type(plain(f.type)) for f in t])
    return t


def leaves(name, t, get):
    """(name, type, value of a row) of every column that the reader makes of a field."""
    if pa.types.is_struct(t):
        for f in t:
            yield from leaves(f"{name}.{f.name}", f.type, lambda v, n=f.name: None if (s := get(v)) is None else s[n])
    elif is_list(t):
        inner = t.value_type
        for n, kind, value in leaves(name, inner, lambda v: v):
            yield n, kind + "[]", lambda v, value=value: None if (s := get(v)) is None else [value(x) for x in s]
    else:
        yield name, NAMES.get(t, str(t)), get


def as_json(v, wide):
    if isinstance(v, list): return [as_json(x, wide) for x in v]
    if v is None or isinstance(v, str): return v
    return str(int(v)) if wide else int(v)


def note(path, table, casts=None, unreadable=()):
    """Writes what `path` must give: `table`, after `casts` of column name to type."""
    columns = {}
    for field, column in zip(table.schema, table.columns):
        if field.name in unreadable: continue
        column = pa.chunked_array(column).combine_chunks() if not isinstance(column, pa.ChunkedArray) else column.combine_chunks()
        if pa.types.is_dictionary(column.type): column = column.dictionary_decode()
        if casts and field.name in casts: column = pa.array(column.to_pylist(), casts[field.name])
        if isinstance(column, pa.ChunkedArray): column = pa.concat_arrays(column.chunks)
        t = column.type
        rows = column.view(bits_type(t)).to_pylist() if bits_type(t) != t else column.to_pylist()
        for name, kind, value in leaves(field.name, t, lambda v: v):
            wide = kind.rstrip("[]") in ("i64", "u64", "f64")
            text = json.dumps([as_json(value(r), wide) for r in rows], separators=(",", ":"), ensure_ascii=False)
            columns[name] = {"type": kind, "values": pool.setdefault(text, len(pool))}
    expected[path.name] = {"rows": table.num_rows, "columns": columns, "unreadable": sorted(unreadable)}


# -- columns -------------------------------------------------------------------------------------------------------------
def random_ints(t, n):
    info = np.iinfo(t.to_pandas_dtype())
    edge = np.array([info.min, info.max, 0, 1], dtype=info.dtype)
    low = rng.integers(0, 100, n).astype(info.dtype)
    full = rng.integers(info.min, info.max, n, dtype=info.dtype, endpoint=True)
    kind = rng.integers(0, 8, n)
    return np.where(kind == 0, rng.choice(edge, n), np.where(kind < 4, full, low))


def floats(dtype, n):
    u = np.uint32 if dtype == np.float32 else np.uint64
    special = np.array([0x7FA00001, 0xFFA00001, 0x80000000, 1, 0x7F800000, 0x7FC00000], np.uint32) if u == np.uint32 else \
        np.array([0x7FF4000000000001, 0xFFF4000000000001, 1 << 63, 1, 0x7FF0000000000000], np.uint64)
    out = rng.normal(0, 50, n).astype(dtype).view(u)
    at = rng.random(n) < 0.1
    out[at] = rng.choice(special, at.sum())
    return out.view(dtype)


def words(n):
    pool = ["", "Jet_pt", "µ⁺µ⁻ γγ", "HLT_IsoMu24", "x" * 70]
    return [pool[i % 5] if i % 3 else f"event {rng.integers(0, 1 << 40)}" for i in rng.integers(0, 50, n)]


def holes(values, t, fraction=0.2):
    """Nulls among the values, and none at all in the first quarter: whole pages without one."""
    n = len(values)
    mask = (rng.random(n) < fraction) & (np.arange(n) >= n // 4)
    return pa.array(values, t, mask=mask)


def make_lists(n, items_of, null_lists=True):
    lengths = rng.integers(0, 6, n) * (rng.random(n) < 0.8)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    items = items_of(int(offsets[-1]))
    mask = pa.array((rng.random(n) < 0.15) & (lengths == 0)) if null_lists else None
    return pa.ListArray.from_arrays(pa.array(offsets), items, mask=mask)


def flat_table(n):
    cols = {}
    for name, t in INTS.items():
        cols[name] = pa.array(random_ints(t, n), t)
        cols[name + "_n"] = holes(random_ints(t, n), t)
    cols["event"] = pa.array(np.sort(rng.integers(1, 1 << 62, n)), pa.int64())
    cols["f32"], cols["f64"] = pa.array(floats(np.float32, n)), pa.array(floats(np.float64, n))
    cols["f32_n"], cols["f64_n"] = holes(floats(np.float32, n), pa.float32()), holes(floats(np.float64, n), pa.float64())
    cols["bool"], cols["bool_n"] = pa.array(rng.random(n) < 0.3), holes(rng.random(n) < 0.9, pa.bool_())
    cols["text"], cols["text_n"] = pa.array(words(n)), holes(np.array(words(n), object), pa.string())
    cols["all_null"] = pa.nulls(n, pa.float32())
    cols["constant"] = pa.array(np.full(n, 7, np.uint32))
    table = pa.table(cols)
    required = [f if f.name.endswith("_n") or f.name == "all_null" else f.with_nullable(False) for f in table.schema]
    return table.cast(pa.schema(required))


def nested_table(n):
    f32 = lambda k: pa.array(floats(np.float32, k))
    f32n = lambda k: holes(floats(np.float32, k), pa.float32())
    jets = make_lists(n, f32, null_lists=False)
    point = lambda k: pa.StructArray.from_arrays([f32(k), holes(random_ints(pa.uint64(), k), pa.uint64())], ["pt", "id"],
                                                 mask=pa.array(rng.random(k) < 0.2))
    return pa.table({
        "Jet_pt": jets,
        "Jet_eta": pa.ListArray.from_arrays(jets.offsets, f32(len(jets.values))),
        "Jet_id": pa.ListArray.from_arrays(jets.offsets, pa.array(random_ints(pa.uint8(), len(jets.values)))),
        "lists": make_lists(n, f32n),
        "text": make_lists(n, lambda k: holes(np.array(words(k), object), pa.string())),
        "flags": make_lists(n, lambda k: holes(rng.random(k) < 0.5, pa.bool_())),
        "deep": make_lists(n, lambda k: make_lists(k, lambda m: make_lists(m, f32n))),
        "pair": point(n),
        "points": make_lists(n, point),
        "box": pa.StructArray.from_arrays([make_lists(n, f32n), point(n)], ["hits", "at"], mask=pa.array(rng.random(n) < 0.2)),
        "empty": pa.array([[]] * n, pa.list_(pa.float32())),
        "large": make_lists(n, f32).cast(pa.large_list(pa.float32())),
        "sized": pa.FixedSizeListArray.from_arrays(f32(3 * n), 3),
    })


def parquet(name, table, unreadable=(), casts=None, **options):
    path = OUT / f"{name}.parquet"
    options = {"row_group_size": max(1, ROWS // 2), "write_page_checksum": True, "data_page_size": 200 if not WIDE else 20000,
               "write_batch_size": 16 if not WIDE else 1024, **options}
    pq.write_table(table, path, **options)
    note(path, table, casts, unreadable)
    return path


# -- the footer, edited: shapes that today's writers do not make -----------------------------------------------------------
class Thrift:
    """Compact protocol to [(id, type, value)] and back."""
    def __init__(self, data=b""): self.data, self.at = data, 0

    def varint(self):
        value = shift = 0
        while True:
            b = self.data[self.at]; self.at += 1
            value |= (b & 127) << shift; shift += 7
            if b < 128: return value

    def value(self, t):
        if t in (1, 2): return t == 1
        if t == 3: self.at += 1; return self.data[self.at - 1]
        if t in (4, 5, 6): return self.varint()
        if t == 8: n = self.varint(); self.at += n; return self.data[self.at - n:self.at]
        if t == 9:
            head = self.data[self.at]; self.at += 1
            n = head >> 4 if head >> 4 < 15 else self.varint()
            return (head & 15, [self.value(head & 15) for _ in range(n)])
        assert t == 12, t
        fields, last = [], 0
        while (head := self.data[self.at]) != 0:
            self.at += 1
            last = last + (head >> 4) if head >> 4 else (lambda z: (z >> 1) ^ -(z & 1))(self.varint())
            fields.append([last, head & 15, self.value(head & 15)])
        self.at += 1
        return fields

    @staticmethod
    def number(n):
        out = bytearray()
        while n > 127: out.append(n & 127 | 128); n >>= 7
        return bytes(out + bytes([n]))

    @classmethod
    def dump(cls, t, v):
        if t in (1, 2): return b""
        if t == 3: return bytes([v])
        if t in (4, 5, 6): return cls.number(v)
        if t == 8: return cls.number(len(v)) + v
        if t == 9: return bytes([240 | v[0]]) + cls.number(len(v[1])) + b"".join(cls.dump(v[0], x) for x in v[1])
        out, last = b"", 0
        for i, kind, x in v:
            kind = (1 if x else 2) if kind in (1, 2) else kind
            out += bytes([(i - last) << 4 | kind]) + cls.dump(kind, x); last = i
        return out + b"\0"


def edit_footer(source, name, edit):
    """A copy whose schema elements and paths went through `edit(elements, chunks)`."""
    data = source.read_bytes()
    size = int.from_bytes(data[-8:-4], "little")
    root = Thrift(data[-8 - size:-8]).value(12)
    get = lambda fields, i: next(f for f in fields if f[0] == i)
    root[:] = [f for f in root if f[0] != 5]
    chunks = [get(c, 3)[2] for g in get(root, 4)[2][1] for c in get(g, 1)[2][1]]
    edit(get(root, 2)[2][1], chunks, get)
    footer = Thrift.dump(12, root)
    path = OUT / f"{name}.parquet"
    path.write_bytes(data[:-8 - size] + footer + len(footer).to_bytes(4, "little") + b"PAR1")
    return path


def two_levels(wrapper_kept):
    """list<required> in a required group: the levels are those of `repeated T` too."""
    def edit(elements, chunks, get):
        # schema: root, x (LIST), list (repeated), element, y
        root, group, repeated, element = elements[:4]
        element[:] = [f if f[0] != 3 else [3, 5, 2 << 1] for f in element]
        if wrapper_kept: get(group, 5)[2] = 1 << 1; elements[:] = [root, group, element] + elements[4:]
        else: get(element, 4)[2] = b"x"; elements[:] = [root, element] + elements[4:]
        for chunk in chunks:
            path = get(chunk, 3)[2][1]
            if path[0] == b"x": path[:] = [b"x", b"element"] if wrapper_kept else [b"x"]
    return edit


def main():
    OUT.mkdir(exist_ok=True, parents=True)
    flat, nested = flat_table(ROWS), nested_table(ROWS)
    small = flat.select(["event", "u8_n", "f32", "f64_n", "bool", "text_n"])
    one_group = {} if WIDE else {"row_group_size": ROWS}
    for codec in ["none", "snappy", "gzip", "zstd", "lz4", "brotli"]:
        parquet(f"codec_{codec}", small if not WIDE else flat, compression=codec, **one_group)
    parquet("flat_v1", flat, compression="zstd")
    parquet("flat_v2", flat, compression="snappy", data_page_version="2.0", write_page_index=True)
    parquet("flat_plain", flat, compression="none" if WIDE else "zstd", use_dictionary=False, **one_group)
    parquet("nested_v1", nested, compression="zstd")
    parquet("nested_v2", nested, compression="zstd", data_page_version="2.0")
    parquet("nested_item", nested, compression="zstd", use_dictionary=False, use_compliant_nested_type=False,
            **one_group)

    enc = {}
    for c in flat.column_names:
        kind = flat.schema.field(c).type
        if kind in (pa.string(),): enc[c] = "DELTA_BYTE_ARRAY" if c == "text" else "DELTA_LENGTH_BYTE_ARRAY"
        elif pa.types.is_floating(kind): enc[c] = "BYTE_STREAM_SPLIT"
        elif kind == pa.bool_(): enc[c] = "RLE"
        else: enc[c] = "DELTA_BINARY_PACKED"
    parquet("enc_delta", flat, compression="zstd", use_dictionary=False, column_encoding=enc, **one_group)
    ints = [c for c in flat.column_names if pa.types.is_integer(flat.schema.field(c).type) and "8" not in c and "16" not in c]
    parquet("enc_split", flat.select(ints), compression="zstd", use_dictionary=False, data_page_version="2.0",
            column_encoding={c: "BYTE_STREAM_SPLIT" for c in ints})

    big = [decimal.Decimal(int(x)) for x in random_ints(pa.uint64(), ROWS)]
    signed = [decimal.Decimal(int(x)) for x in rng.integers(-10 ** 18 + 1, 10 ** 18, ROWS)]
    decimals = pa.table({
        "spark": pa.array(big, pa.decimal128(20, 0)), "d18": pa.array(signed, pa.decimal128(18, 0)),
        "d9": pa.array([decimal.Decimal(int(x)) for x in rng.integers(-999, 999, ROWS)], pa.decimal128(9, 0)),
        "money": pa.array([decimal.Decimal("1.25")] * ROWS, pa.decimal128(9, 2)),
        "huge": pa.array(big, pa.decimal128(30, 0))})
    cast = {"spark": pa.uint64(), "d18": pa.int64(), "d9": pa.int64()}
    parquet("decimals", decimals, ["money", "huge"], cast)
    parquet("decimals_int", decimals, ["money", "huge"], {**cast, "d9": pa.int32()}, store_decimal_as_integer=True)
    parquet("decimals_split", decimals.select(["spark"]), [], cast, use_dictionary=False,
            column_encoding={"spark": "BYTE_STREAM_SPLIT"})
    parquet("decimals_delta", decimals.select(["spark"]), [], cast, use_dictionary=False,
            column_encoding={"spark": "DELTA_BYTE_ARRAY"})

    n = ROWS
    odd = pa.table({
        "run": pa.array(np.arange(n, dtype=np.uint32)), "map": pa.array([[("a", 1)]] * n, pa.map_(pa.string(), pa.int32())),
        "date": pa.array([1] * n, pa.date32()), "time": pa.array([1] * n, pa.time64("us")),
        "when": pa.array([1] * n, pa.timestamp("us")), "half": pa.array(np.ones(n, np.float16)),
        "binary": pa.array([b"\xff"] * n), "fixed": pa.array([b"abc"] * n, pa.binary(3)), "nothing": pa.nulls(n),
        "when96": pa.array([1] * n, pa.timestamp("ns")), "after": pa.array(np.arange(n, dtype=np.float64))})
    path = parquet("unreadable", odd, unreadable=[c for c in odd.column_names if c not in ("run", "after")],
                   use_deprecated_int96_timestamps=True)
    expected[path.name]["unreadable"] = sorted([c for c in odd.column_names if c not in ("run", "after", "map")]
                                               + ["map.key_value.key", "map.key_value.value"])

    x = make_lists(n, lambda k: pa.array(random_ints(pa.int32(), k)), null_lists=False)
    two = pa.table({"x": x, "y": pa.array(np.arange(n))}, pa.schema([
        pa.field("x", pa.list_(pa.field("element", pa.int32(), False)), False), pa.field("y", pa.int64(), False)]))
    source = parquet("source", two)
    note(edit_footer(source, "list_two_level", two_levels(True)), two)
    note(edit_footer(source, "list_repeated", two_levels(False)), two)
    source.unlink(); del expected[source.name]

    titled = pa.table([pa.array([1, 2], pa.int32()), x.slice(0, 2)], schema=pa.schema([
        pa.field("nJet", pa.int32(), metadata={"title": "number of jets", "other": "x"}),
        pa.field("Jet_pt", pa.list_(pa.int32()), metadata={"doc": "pt after JEC"})]))
    parquet("titled", titled.replace_schema_metadata({"colweave.receipt": '{"format":"receipt/1"}', "k": "v µ"}))
    parquet("no_rows", flat.slice(0, 0))

    some = lambda t, names: t if WIDE else t.select(names)
    full = flat, nested
    flat = some(flat, ["event", "i8", "u16_n", "u64_n", "f32", "f64_n", "bool", "bool_n", "text_n", "all_null"])
    nested = some(nested, ["Jet_pt", "Jet_eta", "lists", "text", "deep", "points", "sized"])
    arrow = pa.table({**{c: flat[c] for c in flat.column_names}, **{"n_" + c: nested[c] for c in nested.column_names},
                      "dict": pa.array(words(n)).dictionary_encode(), "large_text": pa.array(words(n), pa.large_string()),
                      "view": holes(np.array(words(n), object), pa.string_view()), "n_large": nested["lists"].cast(pa.large_list(pa.float32())),
                      "dict_ids": pa.array([3, 1 << 40, None] * n, pa.int64()).slice(0, n).dictionary_encode()})
    arrow = pa.concat_tables([arrow.slice(3), arrow.slice(0, 3)])
    batches = arrow.to_batches(max_chunksize=max(1, n // 3))
    for name, opener, options in [("stream.arrows", pa.ipc.new_stream, {}), ("file.arrow", pa.ipc.new_file, {"compression": "zstd"}),
                                  ("feather.arrow", pa.ipc.new_file, {"compression": "lz4"})]:
        path = OUT / name
        if name == "feather.arrow" and not WIDE:
            arrow = arrow.select(["event", "f32", "text_n", "n_lists", "dict"])
            batches = arrow.to_batches()
        with opener(path, arrow.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
            for batch in batches: writer.write_batch(batch)
        note(path, arrow)
    odd_arrow = odd.select(["run", "date", "half", "binary", "map", "after"])
    with pa.ipc.new_file(OUT / "unreadable.arrow", odd_arrow.schema) as writer: writer.write_table(odd_arrow)
    note(OUT / "unreadable.arrow", odd_arrow, unreadable=["date", "half", "binary", "map"])

    peers(*full)
    files = ",\n".join(f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in expected.items())
    (OUT / "expected.json").write_text(f'{{"files":{{\n{files}}},\n"values":[\n' + ",\n".join(pool) + "]}\n")
    print(sum(p.stat().st_size for p in OUT.iterdir()), "bytes in", len(expected), "files")


def peers(flat, nested):
    """The same by other writers; what they hold is told by pyarrow, reading them."""
    cols = flat if WIDE else flat.select(["event", "u64_n", "u16_n", "f32", "f64_n", "bool_n", "text_n"])
    lists = nested if WIDE else nested.select(["Jet_pt", "Jet_eta", "lists", "text", "points"])
    con = duckdb.connect()
    for name, table in [("flat", cols), ("nested", lists)]:
        for codec in (["zstd", "snappy", "gzip", "lz4_raw", "brotli", "uncompressed"] if WIDE else ["zstd"]):
            for version in ["V1", "V2"]:
                if not WIDE and (name, version) == ("nested", "V2"): continue
                path = OUT / f"duckdb_{name}_{codec}_{version.lower()}.parquet"
                con.register("shape", table)
                con.execute(f"copy (select * from shape) to '{path}' (format parquet, compression {codec}, parquet_version {version})")
                # pyarrow 26 stops at DuckDB's delta pages ("InitBlock EOF"): the file holds what was given
                note(path, table if version == "V2" and name == "flat" else pq.read_table(path))
        for codec in (["zstd", "snappy", "gzip", "lz4", "brotli", "uncompressed"] if WIDE else ["zstd"]):
            path = OUT / f"polars_{name}_{codec}.parquet"
            pl.from_arrow(table).write_parquet(path, compression=codec)
            note(path, pq.read_table(path))
    array = ak.Array({"run": np.arange(ROWS, dtype=np.uint32), "Jet": ak.zip({
        "pt": ak.from_arrow(nested["Jet_pt"]), "eta": ak.from_arrow(nested["Jet_eta"])})})
    for name, options in [("awkward", {}), ("awkward_ext", {"extensionarray": True})][: 2 if WIDE else 1]:
        path = OUT / f"{name}.parquet"
        ak.to_parquet(array, str(path), **options)
        raw = pq.ParquetFile(path).read()
        note(path, storage(raw) if "ext" in name else raw)


def storage(table):
    """Without extension types."""
    def strip(t):
        if isinstance(t, pa.BaseExtensionType): return strip(t.storage_type)
        if pa.types.is_list(t): return pa.list_(strip(t.value_type))
        if pa.types.is_large_list(t): return pa.large_list(strip(t.value_type))
        if pa.types.is_struct(t): return pa.struct([pa.field(f.name, strip(f.type)) for f in t])
        return t
    return pa.table({f.name: table[f.name].combine_chunks().view(strip(f.type)) for f in table.schema})


main()
