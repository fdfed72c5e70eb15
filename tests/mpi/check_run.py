#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Several processes train as one does, and survive what happens to one of them.

usage: check_run.py MPIRUN PROGRAM CASE
CASE: equal            2 processes end with the weights of 1 process with twice the share
      quantized        a value at a threshold rounds to another code: equal but for such ones
      own_statistics   without common statistics they differ, and every run gives the same bytes
      killed           after kill -9 of one process the run ends, says so, and can be resumed
      options          --help lists the options, and so does a mistake in them
Exit code 77: mpirun cannot start processes here.
"""
import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time

MPIRUN, PROGRAM, CASE = sys.argv[1:4]


def command(processes, *options):
    launch = [MPIRUN, "-n", str(processes), "--oversubscribe"]
    if os.geteuid() == 0:
        launch.append("--allow-run-as-root")
    return launch + [PROGRAM, *map(str, options)]


def environment():
    # Processes share cores: waiting threads give way, and each process computes with one.
    return {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive",
            "OMPI_MCA_mpi_yield_when_idle": "1", "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
            "TMPDIR": "/tmp"}


def train(processes, out, *options):
    done = subprocess.run(command(processes, "--out", out, *options), env=environment(), text=True,
                          capture_output=True, timeout=200, check=False)
    if done.returncode != 0:
        sys.exit(f"{processes} processes end with {done.returncode}:\n{done.stdout}{done.stderr}")
    return (pathlib.Path(out) / "final.f32").read_bytes()


def largest_difference(a, b):
    """The largest and the median distance of two runs' numbers."""
    first, second = (struct.unpack(f"<{len(x) // 4}f", x) for x in (a, b))
    assert len(first) == len(second) > 5000, f"{len(first)} and {len(second)} numbers"
    distances = sorted(abs(x - y) for x, y in zip(first, second))
    return distances[-1], distances[len(distances) // 2]


def one_and_two(folder, *options):
    """The largest and the median distance between the weights of 1 process and those of 2."""
    one = train(1, folder + "/one", "--batch", 32, *options)
    two = train(2, folder + "/two", "--batch", 32, *options)
    again = train(2, folder + "/again", "--batch", 32, *options)
    assert two == again, "two runs of 2 processes differ"
    worst, median = largest_difference(one, two)
    print(f"1 and 2 processes: largest difference {worst:.2g}, median {median:.2g}")
    return worst, median


def equal(folder):
    # Longer runs part where rounding puts one value on the other side of a rectifier's kink.
    worst, _ = one_and_two(folder, "--steps", 3, "--full-precision")
    assert worst < 1e-5


def quantized(folder):
    _, shared = one_and_two(folder, "--steps", 1)
    _, own = one_and_two(folder, "--steps", 1, "--own-statistics")
    assert shared < own / 20, "codes differ as if statistics were not shared"


def own_statistics(folder):
    _, median = one_and_two(folder, "--steps", 5, "--own-statistics")
    assert median > 1e-3, "statistics seem to be shared"


def killed(folder):
    whole = train(2, folder + "/whole", "--steps", 60, "--checkpoint-every", 5)
    out = pathlib.Path(folder) / "killed"
    run = subprocess.Popen(command(2, "--out", out, "--steps", 1000000, "--checkpoint-every", 5),
                           env=environment(), text=True, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + 120
        while not (out / "checkpoint.bin").exists():
            assert run.poll() is None and time.monotonic() < end, "no checkpoint came"
            time.sleep(0.05)
        os.kill(int((out / "process-1").read_text()), signal.SIGKILL)
        said, _ = run.communicate(timeout=60)
    finally:
        run.kill()
    print(said)
    assert run.returncode != 0, "the run must fail"
    assert "signal 9" in said, "mpirun must name the signal"
    assert f"The last checkpoint is {out}/checkpoint.bin" in said, "it must name the checkpoint"
    at = int(said.count("step "))
    assert at >= 1
    saved = (out / "checkpoint.bin").read_bytes()
    resumed = train(2, str(out), "--steps", 60, "--checkpoint-every", 5, "--resume")
    assert resumed == whole, "the resumed run ends with other weights"
    print(f"resumed from a checkpoint of {len(saved)} bytes to the weights of an unbroken run")


def options(_):
    def call(*words):
        done = subprocess.run([PROGRAM, *words], env=environment(), text=True, capture_output=True,
                              timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    code, usage, said = call("--help")
    assert code == 0 and not said, f"--help ends with {code}: {said}"
    with open(pathlib.Path(__file__).resolve().parents[2] / "examples/distributed/main.cpp",
              encoding="utf-8") as source:
        names = set(re.findall(r'name == "(--[\w-]+)"', source.read()))
    assert names == set(re.findall(r"^  (--[\w-]+)", usage, re.M)), f"{names} in\n{usage}"
    for words, reason in ((["--stepz", "3"], "unknown option --stepz"),
                          (["--steps"], "--steps needs a value"),
                          (["--steps", "3x"], "--steps needs a number from 1 on, got 3x")):
        assert call(*words) == (1, "", f"error: {reason}\n{usage}"), call(*words)
    uneven = subprocess.run(command(3, "--batch", 32), env=environment(), text=True,
                            capture_output=True, timeout=60, check=False)
    reason = "--batch needs a multiple of the number of processes, 3, got 32; the next one is 33"
    assert uneven.returncode != 0 and reason in uneven.stderr, uneven


def main():
    probe = subprocess.run(command(2)[:-1] + ["true"], env=environment(), text=True,
                           capture_output=True, timeout=60, check=False)
    if probe.returncode != 0:
        print(f"skipped: mpirun cannot start processes here:\n{probe.stdout}{probe.stderr}")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        {"equal": equal, "quantized": quantized, "own_statistics": own_statistics,
         "killed": killed, "options": options}[CASE](folder)


if __name__ == "__main__":
    main()
