#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The quickstart from training to report, and once more, killed on the way and resumed.

usage: check_quickstart.py PROGRAM
"""
import csv
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

BITS = [8, 2, 1]
OPTIONS = ["--data", "synthetic", "--epochs", "1", "--bits", "8,2,1", "--checkpoint-every", "5"]
KEYS = {"precision", "top1_fake_quant", "top1_packed", "identical", "bytes", "ms_1_thread",
        "ms_all_threads"}
FILES = ["model.bitdial", "history.csv", "summary.json", "report.html"]


def start(program, out, *more):
    return subprocess.Popen([program, *OPTIONS, "--out", str(out), *more], text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def complete(process):
    said = process.communicate()[0]
    if process.returncode != 0:
        sys.exit(f"exit code {process.returncode}:\n{said}")
    return said


def check_results(out, said):
    for name in FILES:
        assert (out / name).stat().st_size > 0, f"{name} is empty"
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert [row["precision"] for row in summary] == [f"w{b}a{b}" for b in BITS], summary
    for row in summary:
        assert KEYS <= set(row), f"keys missing: {KEYS - set(row)}"
        assert row["identical"] is True, f"packed and fake-quantized codes differ: {row}"
        assert row["top1_fake_quant"] == row["top1_packed"], row
        assert row["bytes"] > 0 and row["ms_1_thread"] > 0 and row["ms_all_threads"] > 0, row
        assert row["precision"] in said, f"the table lacks {row['precision']}:\n{said}"
    assert re.search(r"^cascade: .*(pays?\b)", said, re.M), f"no word on a cascade:\n{said}"
    sizes = [row["bytes"] for row in summary]
    assert sizes == sorted(sizes, reverse=True), f"fewer bits, more bytes: {sizes}"
    with open(out / "history.csv", encoding="utf-8", newline="") as history:
        assert len(list(csv.DictReader(history))) >= 1, "history.csv has no row"
    report = (out / "report.html").read_text(encoding="utf-8")
    assert "<svg" in report, "the report has no chart"
    outside = re.search(r"""(src|href)\s*=\s*["']?(https?:)?//|@import|url\(\s*http""", report)
    assert not outside, f"the report needs the network: {outside}"


def main(program):
    with tempfile.TemporaryDirectory() as folder:
        whole, resumed = pathlib.Path(folder) / "whole", pathlib.Path(folder) / "resumed"
        check_results(whole, complete(start(program, whole)))

        killed = start(program, resumed, "--quiet")
        while killed.poll() is None and not (resumed / "checkpoint.bin").exists():
            time.sleep(0.02)
        assert killed.poll() is None, "the run ended before its first checkpoint"
        killed.kill()
        killed.communicate()
        check_results(resumed, complete(start(program, resumed, "--quiet", "--resume")))
        same = (whole / "model.bitdial").read_bytes() == (resumed / "model.bitdial").read_bytes()
        assert same, "a killed and resumed run ends with another model file"
    print("trained, packed, reloaded, reported; killed and resumed to the same bytes")


if __name__ == "__main__":
    main(sys.argv[1])
