#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds, and runs every test.
#
# usage: tests/run.sh [--quick] [--minutes N]
#   --quick       the release build only
#   --minutes N   builds after the first one that do not fit are cut off; what was not tested is a row
#                 of the table and counts as skipped, and a test that failed before still counts
#
# Four builds: release (GCC, every test), aarch64 (the runtime on 64-bit Arm, under QEMU), asan (GCC,
# the layers that handle memory and files), and clang (every layer, assertions on). The last line is
# `N passed, N failed` with `, N skipped` if any were; the exit code is 0 only if nothing failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

quick=no minutes=100000
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=yes ;;
    --minutes) minutes=${2:?--minutes needs a number}; shift ;;
    *) sed -n '3,12s/^# \{0,1\}//p' "$0"; exit 2 ;;
  esac
  shift
done

scripts/install-dependencies.sh build examples tests bench || exit 1
# Optional libraries: without them, their tests are left out.
scripts/install-dependencies.sh jpeg || echo "no libjpeg-turbo: the tests of JPEG are left out"
scripts/install-dependencies.sh mpi || echo "no MPI: the tests of distributed training are left out"
# Clang doubles the evidence but is not needed to use bitdial: without it, its part is skipped.
scripts/install-dependencies.sh clang || echo "no Clang: its tests are skipped"
scripts/install-dependencies.sh clang-19 || echo "no Clang 19: its look at runtime.hpp is skipped"
scripts/install-dependencies.sh aarch64 || echo "no AArch64 compiler: its tests are skipped"

jobs=$(nproc)
started=$SECONDS
passed=0 failed=0 skipped=0
rows=()
if command -v ccache >/dev/null; then
  # Clones in other folders share what was compiled.
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
fi

count() { # count ATTRIBUTE FILE: of the first line of a JUnit report
  grep -o -m 1 "$1=\"[0-9]*\"" "$2" | head -n 1 | grep -o '[0-9]*'
}

# within COMMAND...: the command, ended when the time is over; the first build has no limit.
within() {
  local left=$((minutes * 60 - SECONDS + started))
  if [ ${#rows[@]} -eq 0 ]; then left=0; elif [ $left -lt 1 ]; then left=1; fi
  timeout $left "$@"
}

# cut_off NAME LOG: a row for a build that the time was too short for; what failed before counts.
cut_off() {
  local failures
  failures=$(grep -cE '^FAILED: |\*\*\*(Failed|Timeout|Exception|Not Run)' "$2")
  skipped=$((skipped + 1))
  failed=$((failed + failures))
  rows+=("$(printf '%-10s cut off after %s minutes, %s failed before' "$1" "$minutes" "$failures")")
}

# run NAME PRESET CMAKE-ARGUMENT...: one configuration, one row of the table.
run() {
  local name=$1 preset=$2 build=build/$2 begin=$SECONDS report tests status=0
  shift 2
  report=$PWD/$build/tests.xml
  local log=$build/run.log
  echo "=== $name: build"
  if ! cmake --preset "$preset" "$@" >"/tmp/bitdial-configure.$$" 2>&1; then
    cat "/tmp/bitdial-configure.$$"
    rows+=("$(printf '%-10s configuration failed' "$name")")
    failed=$((failed + 1))
    return
  fi
  # A file that does not compile is a failed test, not the end of the others.
  within cmake --build "$build" --parallel "$jobs" -- -k 0 2>&1 | tee "$log" || status=$?
  if [ $status -eq 124 ]; then
    cut_off "$name" "$log"
    return
  fi
  if [ $status -ne 0 ]; then echo "=== $name: some targets do not build"; fi
  echo "=== $name: test"
  rm -f "$report"
  status=0
  within ctest --test-dir "$build" --parallel "$jobs" --output-on-failure --output-junit "$report" \
    2>&1 | tee -a "$log" || status=$?
  if [ $status -eq 124 ]; then
    cut_off "$name" "$log"
    return
  fi
  if [ ! -s "$report" ]; then
    rows+=("$(printf '%-10s no test report' "$name")")
    failed=$((failed + 1))
    return
  fi
  tests=$(count tests "$report")
  local bad skip
  bad=$(count failures "$report")
  # A program that was not built counts as disabled or skipped there, with the status notrun.
  skip=$(grep -c '<skipped message="SKIP_RETURN_CODE' "$report")
  local unbuilt=$(($(count skipped "$report") + $(count disabled "$report") - skip))
  bad=$((bad + unbuilt))
  passed=$((passed + tests - bad - skip))
  failed=$((failed + bad))
  skipped=$((skipped + skip))
  rows+=("$(printf '%-10s %6d %6d %7d %7ds' "$name" $((tests - bad - skip)) "$bad" "$skip" \
    $((SECONDS - begin)))")
}

run release release -DBITDIAL_BUILD_BENCH=ON
if [ "$quick" = no ]; then
  if command -v aarch64-linux-gnu-g++ >/dev/null && command -v qemu-aarch64 >/dev/null; then
    run aarch64 aarch64
  else
    rows+=("aarch64    skipped: no aarch64-linux-gnu-g++ or no qemu-aarch64")
    skipped=$((skipped + 1))
  fi
  run asan asan -DBITDIAL_BUILD_EXAMPLES=OFF \
    "-DBITDIAL_TEST_LAYERS=core;io;kernels;quant;ops;data;deploy;fuzz"
  if command -v clang++ >/dev/null; then
    run clang clang -DBITDIAL_BUILD_EXAMPLES=OFF \
      "-DBITDIAL_TEST_LAYERS=core;io;kernels;quant;ops;autodiff;nn;switchable;models;train;data;deploy;interop;compile_fail"
  else
    rows+=("clang      skipped: no clang++")
    skipped=$((skipped + 1))
  fi
fi
rm -f "/tmp/bitdial-configure.$$"

echo
printf '%-10s %6s %6s %7s %8s\n' build passed failed skipped time
printf '%s\n' "${rows[@]}"
echo "total time $((SECONDS - started)) s"
if [ "$skipped" -gt 0 ]; then
  echo "$passed passed, $failed failed, $skipped skipped"
else
  echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
