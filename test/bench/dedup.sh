#!/bin/sh
# --dedup at full size: 20 systematic variations of a friend, 18 of 20 columns equal, joined in one go; against 20 single joins and
# against the join of one variation. usage: dedup.sh BENCH_DIR WORK_DIR (BENCH_DIR as `colweave bench join --make` leaves it)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
bench=$1
work=$2
python=${COLWEAVE_PYTHON:-$("$here/../rigs/venv.sh")}
colweave="${COLWEAVE_NODE:-node} $here/../../bin/colweave.js"
mkdir -p "$work"
"$python" "$here/make_variations.py" "$bench/friend-aligned" "$work" 20
seconds() { date +%s.%N; }
words=''
for v in $(seq 1 20); do words="$words --with v$v: $work/v${v}_*.root"; done
start=$(seconds)
$colweave join "$bench"/primary-zstd/*.root $words --dedup -o "$work/all.parquet" -f --redo -j 2
middle=$(seconds)
for v in $(seq 1 20); do
  $colweave join "$bench"/primary-zstd/*.root --with "v$v:" "$work"/v${v}_*.root -o "$work/single.parquet" -f --redo -j 2 -q
  test "$v" = 1 && cp "$work/single.parquet" "$work/one.parquet"
done
end=$(seconds)
$colweave verify "$work/all.parquet" --against "$bench"/primary-zstd/*.root "$work"/v*_*.root
"$python" - "$work" "$start" "$middle" "$end" <<'PY'
import os, sys
import pyarrow.parquet as pq
work, start, middle, end = sys.argv[1], *map(float, sys.argv[2:])
size = lambda name: os.path.getsize(os.path.join(work, name))
meta = pq.read_metadata(os.path.join(work, "all.parquet"))
extra = 0
for g in range(meta.num_row_groups):
    for c in range(meta.num_columns):
        column = meta.row_group(g).column(c)
        name = column.path_in_schema.split(".")[0]
        if any(name.endswith(f"_v{v}") for v in range(2, 21)):
            extra += column.total_compressed_size
one, all_ = size("one.parquet"), size("all.parquet")
print(f"one variation {one/1e6:.1f} MB, differing columns of the other 19 {extra/1e6:.1f} MB, all in one {all_/1e6:.1f} MB: {100*(all_/(one+extra)-1):+.2f}%")
print(f"one dedup join {middle-start:.2f} s, 20 single joins {end-middle:.2f} s: ratio {(middle-start)/(end-middle):.3f}")
PY
