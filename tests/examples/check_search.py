#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The search from images to a packed network at its plan, under bit operations and milliseconds.

usage: check_search.py PROGRAM
"""
import pathlib
import re
import subprocess
import sys
import tempfile

OPTIONS = ["--data", "synthetic", "--images", "256", "--width", "4", "--quiet"]


def call(program, *words):
    return subprocess.run([program, *OPTIONS, *map(str, words)], text=True, capture_output=True,
                          check=False)


def run(program, *words):
    done = call(program, *words)
    if done.returncode != 0:
        sys.exit(f"exit code {done.returncode}: {words}\n{done.stdout}{done.stderr}")
    return done.stdout


def plan_of(folder):
    lines = (folder / "plan.txt").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "bitdial plan 1", lines
    return dict(line.split() for line in lines
                if re.fullmatch(r"[\w.]+ +w\da\d", line))


def table_of(plan, milliseconds):
    lines = ["# bitdial layer latency 1", "layer,precision,milliseconds"]
    for layer in plan:
        for w in range(1, 5):
            for a in range(2, 5):
                lines.append(f"{layer},w{w}a{a},{milliseconds(w, a)}")
    return "\n".join(lines) + "\n"


def main(program):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        said = run(program, "--epochs", 1, "--train", 1, "--bits", 2, "--out", folder / "bits")
        plan = plan_of(folder / "bits")
        assert len(plan) == 10 and plan["stem"] == plan["classifier"] == "w8a8", plan
        bits = float(re.search(r"bits on average ([\d.]+)", said).group(1))
        assert 1.5 < bits <= 2.0, said
        assert "the same answers, bit for bit" in said, said
        assert (folder / "bits" / "model.bitdial").stat().st_size > 0
        again = run(program, "--epochs", 1, "--bits", 2, "--out", folder / "again")
        assert plan_of(folder / "again") == plan, f"same seed, another plan:\n{again}"

        # Where weights are free and activations cost much, the budget buys weights.
        table = folder / "latency.csv"
        table.write_text(table_of(plan, lambda w, a: 1.0 + 10.0 * (a - 2)), encoding="utf-8")
        run(program, "--epochs", 1, "--latency", table, "--milliseconds", 9, "--out",
            folder / "time")
        timed = [p for layer, p in plan_of(folder / "time").items()
                 if layer not in ("stem", "classifier")]
        assert all(p.endswith("a2") for p in timed), timed
        table.write_text("layer,precision\n", encoding="utf-8")
        refused = call(program, "--latency", table, "--out", folder / "time")
        assert refused.returncode == 1 and "latency.csv: latency table: line 1" in refused.stderr
    print("searched under bit operations and milliseconds, trained at the plan, packed")


if __name__ == "__main__":
    main(sys.argv[1])
