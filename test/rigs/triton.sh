#!/usr/bin/env bash
# Becomes one tritonserver (NVIDIA's own, from the wheel nvidia-pytriton), CPU only, on loopback. test/rigs/triton.ts calls it.
#   triton.sh PYTHON REPOSITORY HTTP_PORT GRPC_PORT METRICS_PORT SHM_PREFIX [FLAG...]
set -euo pipefail
python=$1 repository=$2 http=$3 grpc=$4 metrics=$5 shm=$6; shift 6
venv=$(dirname "$(dirname "$python")")
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
packages=$venv/lib/python$version/site-packages
server=$packages/pytriton/tritonserver
backends=$venv/triton-backends          # a directory of our own: the python backend with the stub of this Python
if [ ! -e "$backends/.made" ]; then
  exec 9>"$venv.lock"
  command -v flock >/dev/null && flock 9
  if [ ! -e "$backends/.made" ]; then
    mkdir -p "$backends/python"
    cp -r "$server/backends/python/." "$backends/python/"
    cp "$server/python_backend_stubs/$version/triton_python_backend_stub" "$backends/python/"
    touch "$backends/.made"
  fi
  exec 9>&-
fi
# the stub needs the wheel's libraries and this very libpython: without the first each load hangs, without the second it fails oddly
library=$("$python" -c 'import sysconfig; print(sysconfig.get_config_var("LIBDIR"))')
export LD_LIBRARY_PATH=$packages/nvidia_pytriton.libs:$library${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export PATH=$venv/bin:$PATH PYTHONPATH=$packages
# a rig must not outlive who started it
end=(); if setpriv --pdeathsig TERM true 2>/dev/null; then end=(setpriv --pdeathsig TERM); fi
exec ${end[@]+"${end[@]}"} "$server/bin/tritonserver" --model-repository="$repository" \
  --backend-directory="$backends" --cache-directory="$server/caches" \
  --backend-config=python,shm-region-prefix-name="$shm" \
  --http-address=127.0.0.1 --grpc-address=127.0.0.1 --metrics-address=127.0.0.1 --allow-gpu-metrics=false \
  --http-port="$http" --grpc-port="$grpc" --metrics-port="$metrics" "$@"
