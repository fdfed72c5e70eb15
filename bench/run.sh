#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds the benchmarks, measures bitdial and other libraries on the same
# networks, and writes bench.json, bench.md and bench.html.
#
# usage: bench/run.sh [--quick] [--out DIR]
#   --quick     few samples, small batches: under 6 minutes of measurement, beside the build
#   --out DIR   where the three files go, seen from where you are (default: bench-out)
#
# Other libraries are optional: what is not installed, and cannot be, is a line of the report that
# says so, as is what failed or took too long. The exit code is 1 if a program of bitdial failed.
set -uo pipefail
caller=$PWD
cd "$(dirname "$0")/.." || exit 1

quick=no out=bench-out
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=yes ;;
    --out) out=${2:?--out needs a folder}; shift ;;
    *) sed -n '3,11s/^# \{0,1\}//p' "$0"; exit 2 ;;
  esac
  shift
done

case $out in /*) ;; *) out=$caller/$out ;; esac

build=build/bench
records=$(mktemp -d)
trap 'rm -rf "$records"' EXIT
own_failed=no

# part NAME SECONDS COMMAND...: the command's output in a log; a part that takes too long is cut
# off, and keeps the records that it has written.
part() {
  local name=$1 most=$2 left=$((ends - SECONDS)) status=0 begin=$SECONDS
  shift 2
  if [ "$left" -lt 5 ]; then
    absent "$name" "no time left"
    return 1
  fi
  if [ "$most" -gt "$left" ]; then most=$left; fi
  echo "=== $name"
  timeout "$most" "$@" 2>&1 | tee -a "$records/$name.log" || status=$?
  case $status in
    0) ;;
    124) absent "$name" "cut off after $most s" ;;
    *)
      absent "$name" "failed with exit code $status"
      case $1 in
        *onednn) ;;
        "$build"/*) own_failed=yes ;;
      esac
      ;;
  esac
  echo "=== $name: $((SECONDS - begin)) s"
  return $status
}

# peer_part NAME SECONDS COMMAND...: the same for a program that prints its records.
peer_part() {
  local name=$1
  part "$@" || true
  grep '^{' "$records/$name.log" >"$records/$name.jsonl" 2>/dev/null
}

absent() { # absent NAME REASON: a line in the report instead of numbers
  echo "=== $1: $2"
  printf '{"kind": "peer", "name": "%s", "precision": "", "threads": 1, "batch": 1, "value": null, "unit": "", "spread": 0, "peak_share": null, "note": "%s"}\n' \
    "$1" "$2" >"$records/absent-$1.jsonl"
}

echo "=== install and build"
scripts/install-dependencies.sh build bench || exit 1
scripts/install-dependencies.sh peers || echo "some of the other libraries cannot be installed"
if command -v ccache >/dev/null; then export CMAKE_CXX_COMPILER_LAUNCHER=ccache; fi
cmake -S . -B $build -G Ninja -DCMAKE_BUILD_TYPE=Release "-DCMAKE_CXX_FLAGS_RELEASE=-O2 -DNDEBUG" \
  -DBITDIAL_BUILD_BENCH=ON -DBITDIAL_BUILD_TESTS=OFF -DBITDIAL_BUILD_EXAMPLES=OFF >/dev/null || exit 1
programs=(bench_kernels bench_models bench_training bench_loader bench_switch classify_image)
case $(cmake --build $build --target help) in *bench_onednn*) programs+=(bench_onednn) ;; esac
cmake --build $build --parallel "$(nproc)" --target "${programs[@]}" || exit 1

python_with() { # the first Python that has the module
  local python
  for python in python3 /usr/bin/python3; do
    if "$python" -c "import $1" 2>/dev/null; then
      command -v "$python"
      return 0
    fi
  done
  return 1
}

onnx_python=$(python_with onnx) || absent onnxruntime "not installed: no Python with the onnx package"
torch_python=$(python_with torch) || absent pytorch "not installed: no Python with the torch package"
if [ ! -x $build/bench/bench_onednn ]; then absent onednn "not installed: oneDNN 2 not found"; fi
if [ -n "$onnx_python" ]; then
  if ! bench/peers/install-onnxruntime.sh $build/peers ||
    ! "$onnx_python" -B bench/peers/onnx_models.py $build/peers/onnx; then
    absent onnxruntime "not installed: onnxruntime-node cannot be fetched or run"
    onnx_python=
  fi
fi

echo "=== install and build: $SECONDS s"
begin=$SECONDS
if [ $quick = yes ]; then ends=$((begin + 340)); else ends=$((begin + 7200)); fi

several=(); while read -r n; do several+=("$n"); done < <(seq 1 "$(($(nproc) > 1 ? 2 : 1))")
teams=()
for n in "${several[@]}"; do teams+=(--threads "$n"); done
most_threads=${several[-1]}

# networks PASS SECONDS BATCH [NETWORK]: ours and the others', close in time
networks() {
  local pass=$1 seconds=$2 batch=$3 only=()
  if [ $# -gt 3 ]; then only=(--network "$4"); fi
  local common=("${teams[@]}" --batch "$batch" --seconds "$seconds" "${only[@]}")
  part "networks-$pass" 300 $build/bench/bench_models "${common[@]}" \
    --json "$records/networks-$pass.jsonl"
  if [ -n "$onnx_python" ]; then
    peer_part "onnxruntime-$pass" 200 node bench/peers/onnxruntime.cjs --package $build/peers \
      --models $build/peers/onnx "${common[@]}"
  fi
  if [ -x $build/bench/bench_onednn ]; then
    part "onednn-$pass" 100 $build/bench/bench_onednn "${common[@]}" \
      --json "$records/onednn-$pass.jsonl"
  fi
}

# layers SECONDS NETWORK...: single convolutions on one thread, ours and oneDNN's
layers() {
  local common=(--layers --threads 1 --seconds "$1") network
  shift
  for network in "$@"; do common+=(--network "$network"); done
  part layers 120 $build/bench/bench_models "${common[@]}" --plan w8a8 --plan w1a1 --plan w1a2 \
    --json "$records/layers.jsonl"
  if [ -x $build/bench/bench_onednn ]; then
    part onednn-layers 60 $build/bench/bench_onednn "${common[@]}" \
      --json "$records/onednn-layers.jsonl"
  fi
}

# training NAME SECONDS OPTION...: ours and PyTorch's
training() {
  local name=$1 seconds=$2
  shift 2
  part "training-$name" 1200 $build/bench/bench_training --seconds "$seconds" "$@" \
    --json "$records/training-$name.jsonl"
  if [ -n "$torch_python" ]; then
    peer_part "pytorch-$name" 3000 "$torch_python" -B bench/peers/pytorch_training.py \
      --seconds "$seconds" "$@"
  fi
}

# scaling NAME OPTION...: ours alone, the joint step of a small network with default options
scaling() {
  local name=$1
  shift
  part "training-$name" 60 $build/bench/bench_training --seconds 0.5 --network resnet20@32 \
    --step joint --products f32 "$@" --json "$records/training-$name.jsonl"
}

if [ $quick = yes ]; then
  part kernels 40 $build/bench/bench_kernels --quick --json "$records/kernels.jsonl"
  networks batch1 0.15 1
  networks batch32 0.3 32 resnet20@32
  layers 0.2 resnet18@224 mobilenet-v1@224
  part loader 20 $build/bench/bench_loader --seconds 0.3 --json "$records/loader.jsonl"
  part switch 20 $build/bench/bench_switch --json "$records/switch.jsonl"
  # The longest parts come last: a slow machine has no time for them.
  training resnet20 1 --network resnet20@32 --threads "$most_threads"
  if [ "$most_threads" -gt 1 ]; then # to hold the threads against: the same work, and half of it
    scaling resnet20-alone --threads 1
    scaling resnet20-double --threads "$most_threads" --batch 256
  fi
  training large 0.1 --network resnet18@64 --network mobilenet-v2@64 --step joint \
    --threads "$most_threads" --batch 8
else
  part kernels 600 $build/bench/bench_kernels --json "$records/kernels.jsonl"
  for pass in 1 2 3; do
    networks "batch1-pass$pass" 0.5 1
    networks "batch32-pass$pass" 0.7 32 resnet20@32
  done
  layers 1 resnet20@32 resnet18@224 mobilenet-v1@224 mobilenet-v2@224
  training resnet20 5 --network resnet20@32 "${teams[@]}"
  training resnet20-double 5 --network resnet20@32 --threads "$most_threads" --batch 256
  training large 5 --network resnet18@64 --network mobilenet-v2@64 --threads "$most_threads"
  part loader 60 $build/bench/bench_loader --json "$records/loader.jsonl"
  part switch 60 $build/bench/bench_switch --json "$records/switch.jsonl"
fi

fact() { sed -n "s/^$1: //p" "$records/kernels.log" | head -n 1; }
mapfile -t written < <(find "$records" -name '*.jsonl' -size +0 | sort)
mkdir -p "$out"
python3 -B bench/report.py --out "$out" --fact "machine=$(fact cpu), $(nproc) cores" \
  --fact "instructions=$(fact isa)" --fact "compiler=$(fact compiler)" \
  --fact "date=$(date -u +%Y-%m-%d)" --fact "mode=$([ $quick = yes ] && echo quick || echo full)" \
  "${written[@]}" || exit 1
echo "$out/bench.json, $out/bench.md, $out/bench.html: measured in $((SECONDS - begin)) s"
[ $own_failed = no ]
