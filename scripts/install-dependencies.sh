#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The one place that installs what bitdial needs from the system.
#
# usage: scripts/install-dependencies.sh GROUP...
#   build        a C++20 compiler, CMake, Ninja, zlib: enough for the library
#   examples     CLI11, which reads the options of the example programs
#   tests        doctest, Eigen and Python for the tests
#   clang        Clang with OpenMP and clang-format, for the second half of the tests
#   clang-19     a newer Clang, for one more look at the headers of deployment
#   aarch64      the cross compiler and the emulator for the tests on 64-bit Arm
#   emulator     Bochs and what makes its disk, for tests/emulated.sh
#   bench        Google Benchmark, and CLI11 for the options of the benchmarks
#   peers        what the benchmarks compare with: oneDNN, PyTorch, ONNX models, Node (optional)
#   jpeg         libjpeg-turbo, for folders of JPEG images
#   mpi          Open MPI, for training on several machines
#   quickstart   the Fashion-MNIST images
#
# It asks what is there first, and does nothing if that is everything. On Debian and its relatives
# it installs the rest with apt-get (with sudo where it is not root); elsewhere it names what to
# install and ends with exit code 1.
set -euo pipefail

missing=()   # Debian packages
wanted=()    # the same in words

need() { # need PACKAGE WORDS COMMAND...: PACKAGE is missing unless COMMAND succeeds
  local package=$1 words=$2
  shift 2
  if ! "$@" >/dev/null 2>&1; then
    missing+=("$package")
    wanted+=("$words")
  fi
}

has_header() { # through the compiler, which knows its folders
  local compiler=c++
  command -v c++ >/dev/null || compiler=g++
  echo "#include <$1>" | "$compiler" -std=c++20 -fsyntax-only -I/usr/include/eigen3 -x c++ -
}

has_cmake() { # has_cmake VERSION: at least that
  local version
  version=$(cmake --version | head -n 1 | grep -oE '[0-9]+\.[0-9]+') &&
    [ "$(printf '%s\n' "$1" "$version" | sort -V | head -n 1)" = "$1" ]
}

has_images() {
  [ -e /usr/share/datasets/fashion-mnist/t10k-labels-idx1-ubyte.gz ]
}

has_module() { # of the system's Python, which apt-get serves, or of the first one in the path
  /usr/bin/python3 -c "import $1" || python3 -c "import $1"
}

need_group() {
  case $1 in
    build)
      need g++ "a C++20 compiler (GCC 12 or newer)" command -v g++
      need cmake "CMake 3.24 or newer" has_cmake 3.24
      need ninja-build "Ninja" command -v ninja
      need zlib1g-dev "zlib with its header" has_header zlib.h
      ;;
    examples)
      need libcli11-dev "CLI11 2.0 or newer" has_header CLI/CLI.hpp
      ;;
    tests)
      need cmake "CMake 3.25 or newer (workflow presets)" has_cmake 3.25
      need doctest-dev "doctest" has_header doctest/doctest.h
      need libeigen3-dev "Eigen 3.4 or newer" has_header Eigen/Core
      need python3 "Python 3.9 or newer" command -v python3
      ;;
    clang)
      need clang "Clang 14 or newer" command -v clang++
      need libomp-dev "the OpenMP runtime of Clang" \
        sh -c 'echo "int main() {}" | clang++ -fopenmp -x c++ - -o /dev/null'
      need clang-format "clang-format 14" command -v clang-format
      ;;
    clang-19)
      need clang-19 "Clang 19" command -v clang++-19
      ;;
    aarch64)
      need g++-aarch64-linux-gnu "GCC for AArch64 Linux" command -v aarch64-linux-gnu-g++
      need qemu-user "QEMU in user mode" command -v qemu-aarch64
      ;;
    emulator)
      need bochs "the emulator Bochs 2.7" command -v bochs
      need bochs-term "a display for Bochs, if only an idle one" command -v bochs
      need bochsbios "its BIOS" test -e /usr/share/bochs/BIOS-bochs-latest
      need vgabios "a VGA BIOS" test -e /usr/share/vgabios/vgabios.bin
      need grub-pc-bin "GRUB for PCs" test -e /usr/lib/grub/i386-pc/boot.img
      need grub-common "grub-mkrescue" command -v grub-mkrescue
      need xorriso "xorriso" command -v xorriso
      need mtools "mtools" command -v mformat
      need busybox-static "BusyBox, linked statically" command -v busybox
      need cpio "cpio" command -v cpio
      ;;
    bench)
      need libbenchmark-dev "Google Benchmark" has_header benchmark/benchmark.h
      need libcli11-dev "CLI11 2.0 or newer" has_header CLI/CLI.hpp
      ;;
    peers)
      need libdnnl-dev "oneDNN 2.6 or newer" has_header dnnl.hpp
      need python3-onnx "the onnx package of Python" has_module onnx
      need python3-torch "the torch package of Python" has_module torch
      need nodejs "Node 18 or newer" command -v node
      need npm "npm, the package client of Node" command -v npm
      ;;
    jpeg)
      need libturbojpeg0-dev "libjpeg-turbo with turbojpeg.h" has_header turbojpeg.h
      ;;
    mpi)
      need libopenmpi-dev "an MPI library with its compiler wrappers" command -v mpicxx
      need openmpi-bin "mpirun" command -v mpirun
      ;;
    quickstart)
      need dataset-fashion-mnist "Fashion-MNIST, four gzipped IDX files" has_images
      ;;
    *)
      echo "install-dependencies: no group '$1'; there are" \
        "build, examples, tests, clang, clang-19, aarch64, emulator, bench, peers, jpeg, mpi, quickstart" >&2
      exit 2
      ;;
  esac
}

if [ $# -eq 0 ]; then
  sed -n '5,18s/^# \{0,1\}//p' "$0"
  exit 2
fi
for group in "$@"; do need_group "$group"; done
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi

if ! command -v apt-get >/dev/null; then
  echo "bitdial needs, and this machine lacks:" >&2
  printf '  %s\n' "${wanted[@]}" >&2
  echo "Install these with the package manager of your system, then start again." >&2
  exit 1
fi

as_root=(env DEBIAN_FRONTEND=noninteractive)
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "Not root, and there is no sudo. Please let an administrator run:" >&2
    echo "  apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo "${as_root[@]}")
fi
install=("${as_root[@]}" apt-get -qq install -y --no-install-recommends)
echo "installing: ${missing[*]}"
# The package lists may be missing or old: only then fetch them, and say what goes wrong. What one
# package lacks does not keep the others away.
if ! "${install[@]}" "${missing[@]}" >/dev/null 2>&1; then
  "${as_root[@]}" apt-get -qq update
  if ! "${install[@]}" "${missing[@]}" >/dev/null; then
    for package in "${missing[@]}"; do
      "${install[@]}" "$package" >/dev/null 2>&1 || echo "not installed: $package" >&2
    done
    exit 1
  fi
fi
