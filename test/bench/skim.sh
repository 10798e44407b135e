#!/bin/sh
# A skim of 5% of the events against the full join: events scattered over all baskets, and events in one stretch; friend regrouped, and aligned.
# usage: skim.sh BENCH_DIR WORK_DIR (BENCH_DIR as `colweave bench join --make` leaves it). Prints seconds, and bytes read by the process.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
bench=$1
work=$2
mkdir -p "$work"
cat > "$work/io.cjs" <<'JS'
const { isMainThread } = require('node:worker_threads');
const { readFileSync } = require('node:fs');
const start = process.hrtime.bigint();
if (isMainThread) process.on('exit', () => {
  const read = /rchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))[1];
  console.log(`${(Number(process.hrtime.bigint() - start) / 1e9).toFixed(2)} s, ${(read / 1e6).toFixed(1)} MB read`);
});
JS
scattered='event % 20 == 0'
stretch='run < 278010 or (run == 278010 and luminosityBlock < 62)'
run() {
  name=$1
  shift
  printf '%s: ' "$name"
  ${COLWEAVE_NODE:-node} --require "$work/io.cjs" "$here/../../bin/colweave.js" join "$bench"/primary-zstd/*.root "$@" -o "$work/out.parquet" -f --redo -q -j 2
}
for friend in regrouped aligned; do
  for round in 1 2 3; do
    run "$friend, full" --with "$bench/friend-$friend"/*.root
    run "$friend, 5% scattered" --with "$bench/friend-$friend"/*.root --where "$scattered"
    run "$friend, 5% in one stretch" --with "$bench/friend-$friend"/*.root --where "$stretch"
  done
done
