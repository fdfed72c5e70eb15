#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The benchmarks, their peers and bench/run.sh name the same networks.

usage: check_networks.py ROOT BENCH_MODELS BENCH_TRAINING
"""
import pathlib
import re
import subprocess
import sys


def choices_of(program):
    """The networks that --help of a benchmark lists."""
    text = subprocess.run([program, "--help"], text=True, capture_output=True, check=True).stdout
    return set(re.search(r"--network TEXT:\{([^}]*)\}", text).group(1).split(","))


def main(root, bench_models, bench_training):
    sys.path.insert(0, str(root / "bench" / "peers"))
    import architectures  # noqa: E402

    own = {}
    for kind, program in (("inference", bench_models), ("training", bench_training)):
        own[kind] = choices_of(program)
        peers = set(getattr(architectures, f"{kind}_networks")())
        assert own[kind] == peers, f"{kind}: {program} has {own[kind]}, the peers have {peers}"
    asked = set(re.findall(r"--network (\S+)", (root / "bench" / "run.sh").read_text()))
    asked = {name for name in asked if not name.startswith(("$", '"'))}
    known = own["inference"] | own["training"]
    assert asked and asked <= known, f"bench/run.sh asks for {asked - known}"
    print(f"{len(own['inference'])} networks to run and {len(own['training'])} to train, "
          "the same in the peers")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), *sys.argv[2:])
