#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The main job in one command: install what is missing, build, train a network at several
# precisions, pack it into one file, reload the file, and show what each precision costs and gives.
#
# usage: examples/quickstart.sh [--data fashion-mnist|synthetic] [--network resnet8|resnet14|resnet20]
#                               [--bits 8,4,2,1] [--epochs N] [--out DIR] [--seed N] [--threads N]
#                               [--resume] [--quiet] [--help]
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build/quickstart

groups=(build examples quickstart)
arguments=("$@")
for ((i = 0; i < ${#arguments[@]}; ++i)); do
  case ${arguments[i]} in
    --help | -h)
      sed -n '6,8s/^# \{0,1\}//p' "$0"
      echo "docs/quickstart.md describes the options."
      exit 0
      ;;
    --data=synthetic | --data-directory | --data-directory=*) groups=(build examples) ;;
    --data) [ "${arguments[i + 1]:-}" != synthetic ] || groups=(build examples) ;;
    --network* | --bits* | --epochs* | --out* | --seed* | --threads* | --data=* | --resume | \
      --quiet | --checkpoint-every*) ;;
    -*)
      echo "quickstart: no option '${arguments[i]}'; see --help" >&2
      exit 2
      ;;
  esac
done
"$root/scripts/install-dependencies.sh" "${groups[@]}"

log=$build.log
mkdir -p "$(dirname "$log")"
echo "building (log: ${log#"$root"/}) ..." >&2
if ! {
  cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DBITDIAL_BUILD_TESTS=OFF \
    -DBITDIAL_BUILD_BENCH=OFF -DBITDIAL_BUILD_EXAMPLES=ON &&
    cmake --build "$build" --target quickstart
} >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  echo "error: the build failed; the whole log is $log" >&2
  exit 1
fi

# Threads of GCC's OpenMP that wait for work spin for microseconds, then sleep: nearly as quick as
# spinning on an idle machine, and bearable on one with other work to do.
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-2000}
exec "$build/examples/quickstart" "$@"
