#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Puts claims of the papers to the test: builds, trains what they compare, draws the result.
#
# usage: bench/reproduce/run.sh CLAIM|all [--data DIR] [--out DIR] [options of the claim]
#   --data DIR   the folder cifar-100-binary with train.bin and test.bin
#   --out DIR    where CLAIM.csv, CLAIM.svg and CLAIM.txt go (default: reproduce-out)
#
# `build/reproduce/bench/reproduce --help` lists the claims, `reproduce CLAIM --help` the options.
# Without --data the archive data/cifar-100-binary.tar.xz is unpacked into the build folder, from
# $BITDIAL_SHARED or from ../shared beside the clone.
set -euo pipefail
cd "$(dirname "$0")/../.."

[ $# -gt 0 ] || { sed -n '3,12s/^# \{0,1\}//p' "$0"; exit 2; }
claim=$1
shift
data='' out=reproduce-out rest=()
while [ $# -gt 0 ]; do
  case $1 in
    --data) data=${2:?--data needs a folder}; shift ;;
    --out) out=${2:?--out needs a folder}; shift ;;
    *) rest+=("$1") ;;
  esac
  shift
done

build=build/reproduce
scripts/install-dependencies.sh build bench
if command -v ccache >/dev/null; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
cmake -S . -B $build -G Ninja -DCMAKE_BUILD_TYPE=Release "-DCMAKE_CXX_FLAGS_RELEASE=-O2 -DNDEBUG" \
  -DBITDIAL_BUILD_BENCH=ON -DBITDIAL_BUILD_TESTS=OFF -DBITDIAL_BUILD_EXAMPLES=OFF >/dev/null
cmake --build $build --parallel "$(nproc)" --target reproduce

program=$build/bench/reproduce
case $claim in -h | --help) exec $program --help ;; esac
if [ -z "$data" ]; then
  data=$build/cifar-100-binary
  archive=${BITDIAL_SHARED:-../shared}/data/cifar-100-binary.tar.xz
  if [ ! -e $data/train.bin ]; then
    [ -e "$archive" ] || {
      echo "no CIFAR-100: give its folder with --data; $archive is not there either" >&2
      exit 1
    }
    tar -xJf "$archive" -C $build
  fi
fi
claims=$claim
if [ "$claim" = all ]; then claims=$($program --list); fi
# Threads that wait for each other must not burn the core that another program needs.
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-2000}
for claim in $claims; do
  $program "$claim" --data "$data" --out "$out" "${rest[@]+"${rest[@]}"}"
  python3 bench/reproduce/draw.py "$out/$claim.csv" "$out/$claim.svg"
  echo "wrote $out/$claim.csv, $out/$claim.svg, $out/$claim.txt"
done
