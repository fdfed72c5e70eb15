#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzes one reader with Clang's libFuzzer, under AddressSanitizer and UBSan.
#
# usage: tests/fuzz/run.sh [HARNESS [SECONDS]]
#   HARNESS   model_file (default), checkpoint, images, jpeg or texts
#   SECONDS   default 60
#
# Inputs that find new code go to build/fuzz/HARNESS; one that breaks a promise is left in
# build/fuzz as crash-*, oom-* or timeout-*. The committed seeds are in tests/fuzz/corpus.
set -euo pipefail
cd "$(dirname "$0")/../.."

harness=${1:-model_file} seconds=${2:-60}
if [ $# -gt 2 ] || [ ! -f "tests/fuzz/${harness}_fuzz.cpp" ]; then
  sed -n '3,11s/^# \{0,1\}//p' "$0"
  exit 2
fi
clang=$(command -v clang++ || command -v clang++-14) || { echo "clang++ is not installed"; exit 1; }
mkdir -p "build/fuzz/$harness"
libraries=()
case $harness in
  images) libraries=(-lz) ;;
  jpeg) libraries=(-lturbojpeg) ;;
esac
"$clang" -std=c++20 -O1 -g1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
  -Iinclude -Itests "tests/fuzz/${harness}_fuzz.cpp" -o "build/fuzz/$harness.bin" "${libraries[@]}"
seeds=("tests/fuzz/corpus/$harness")
if [ "$harness" = model_file ]; then seeds+=(tests/deploy/golden); fi
cd build/fuzz
exec "./$harness.bin" -max_total_time="$seconds" -max_len=8192 -timeout=20 -rss_limit_mb=1024 \
  "$harness" "${seeds[@]/#/../../}"
