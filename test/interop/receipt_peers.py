"""Reads {"check": [paths], "rewrite": [[tool, from, to]]} from stdin: what fixtures/receipt_check.py says of files, and files written again by others."""
import json, sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / 'fixtures'))
from receipt_check import check

def by_pyarrow(source, target):
    import pyarrow.parquet as pq
    table = pq.read_table(source)
    pq.write_table(table.replace_schema_metadata(None), target, row_group_size=70, compression='gzip', use_dictionary=True)

def by_pyarrow_reordered(source, target):
    import numpy as np, pyarrow.parquet as pq
    table = pq.read_table(source)
    order = np.random.default_rng(1).permutation(table.num_rows)
    pq.write_table(table.take(order).select(table.column_names[::-1]), target)

def by_duckdb(source, target):
    import duckdb
    duckdb.sql(f"copy (select * from '{source}') to '{target}' (format parquet)")

def by_polars(source, target):
    import polars
    polars.read_parquet(source).write_parquet(target)

def verdict(path):
    try:
        return check(path)
    except Exception as error:
        return [f'{type(error).__name__}: {error}']

work = json.load(sys.stdin)
for tool, source, target in work['rewrite']:
    globals()[f'by_{tool}'](source, target)
print(json.dumps({path: verdict(path) for path in work['check']}))
