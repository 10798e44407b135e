#!/usr/bin/env bash
# Makes a Python environment of the tests from a list of pins beside this script, once per list, and prints its python's path.
# Where: $COLWEAVE_VENV (default list alone), else ${XDG_CACHE_HOME:-$HOME/.cache}/colweave/venv-<first 12 digits of the list's sha256>.
# Needs python3 with venv and pip.
#   venv.sh [--list NAME.txt]           make it if absent, print the path     (default list: requirements.txt, of interop tests and fixtures)
#   venv.sh --where [--list NAME.txt]   print the path it would have, make nothing
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
list=$here/requirements.txt where=no chosen=${COLWEAVE_VENV:-}
while [ $# -gt 0 ]; do
  case $1 in
    --where) where=yes; shift ;;
    --list) list=$here/$2 chosen=; shift 2 ;;
    *) echo "venv.sh: unknown word $1" >&2; exit 2 ;;
  esac
done

hash=$(python3 -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest()[:12])' "$list")
venv=${chosen:-${XDG_CACHE_HOME:-$HOME/.cache}/colweave/venv-$hash}
done_mark=$venv/.colweave-$hash        # written last: an interrupted install is made again

if [ $where = yes ]; then echo "$venv/bin/python"; exit 0; fi
if [ ! -e "$done_mark" ]; then
  mkdir -p "$(dirname "$venv")"
  if command -v flock >/dev/null; then  # two test runs at once: the second waits and finds it made
    exec 9>"$venv.lock"
    flock 9
  fi
  if [ ! -e "$done_mark" ]; then
    echo "venv.sh: making $venv (a few minutes, once)" >&2
    python3 -m venv --clear "$venv" >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input -r "$list" >&2
    touch "$done_mark"
  fi
fi
echo "$venv/bin/python"
