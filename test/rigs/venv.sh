#!/usr/bin/env bash
# Makes the Python environment of interop tests and fixtures from requirements.txt, once per list of pins, and prints its python's path.
# Where: $COLWEAVE_VENV, else ${XDG_CACHE_HOME:-$HOME/.cache}/colweave/venv-<first 12 digits of the list's sha256>. Needs python3 with venv and pip.
#   venv.sh           make it if absent, print the path            venv.sh --where   print the path it would have, make nothing
#   venv.sh NAME      the same with requirements-NAME.txt: what one rig alone needs (COLWEAVE_VENV is not for these)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
where=; if [ "${1:-}" = --where ]; then where=yes; shift; fi
list=$here/requirements${1:+-$1}.txt
if [ -n "${1:-}" ]; then unset COLWEAVE_VENV; fi

hash=$(python3 -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest()[:12])' "$list")
venv=${COLWEAVE_VENV:-${XDG_CACHE_HOME:-$HOME/.cache}/colweave/venv-$hash}
done_mark=$venv/.colweave-$hash        # written last: an interrupted install is made again

if [ -n "$where" ]; then echo "$venv/bin/python"; exit 0; fi
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
