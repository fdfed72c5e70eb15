#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/compare: ratios, what counts as a change, exit codes, errors about bad files.

usage: check_compare.py ROOT
"""
import json
import subprocess
import sys
import tempfile

from fixtures import expect, record, run, write


def check_ratios(root, folder):
    before = write(folder, "before.json", [
        record(name="slower", value=1.0), record(name="faster", value=1.0),
        record(name="noisy", value=1.0, spread=0.3), record(name="same", value=1.0),
        record(kind="training", name="net/plain", unit="images/s", value=100.0),
        record(name="gone"), record(name="unmeasured", value=None)])
    after = write(folder, "after.json", [
        record(name="slower", value=1.25), record(name="faster", value=0.8),
        record(name="noisy", value=1.2), record(name="same", value=1.01),
        record(kind="training", name="net/plain", unit="images/s", value=50.0),
        record(name="added"), record(name="unmeasured")])
    code, said, _ = run(root, "compare", before, after)
    lines = {line.split()[1]: line.split() for line in said.splitlines()
             if line.startswith(("network", "training"))}
    expect(code == 0, "differences alone are no failure", said)
    for name, ratio, verdict in (("slower", "0.800", "worse"), ("faster", "1.250", "better"),
                                 ("noisy", "0.833", "31.0%"), ("same", "0.990", "2.0%"),
                                 ("net/plain", "0.500", "worse")):
        expect(ratio in lines[name] and lines[name][-1] == verdict, f"{name}: {ratio}, {verdict}",
               said)
    expect("5 lines in both: 1 better, 2 worse, 2 unchanged; 2 only in the first, 2 only in the "
           "second" in said, "the last line counts", said)

    code, said, _ = run(root, "compare", "--changed", "--fail-if-worse", before, after)
    expect(code == 1, "--fail-if-worse ends with 1", said)
    expect("noisy" not in said and "slower" in said, "--changed leaves out what did not", said)
    expect(run(root, "compare", "--fail-if-worse", before, before)[0] == 0, "equal runs pass")
    expect(run(root, "compare", "--fail-if-worse", "--threshold", "2", before, after)[0] == 0,
           "a threshold of 200 % lets everything pass")


def check_errors(root, folder):
    good = write(folder, "good.json", [record()])
    for words, content in (
            ("not JSON", "[{"), ("expected an array", {}), ("no member 'spread'", [
                {k: v for k, v in record().items() if k != "spread"}]),
            ("kind 'nonsense' is none of", [record(kind="nonsense")]),
            ("'value' is \"fast\"", [record(value="fast")]), ("is not positive", [record(value=0)]),
            ("is not finite", json.dumps([record(spread=float("nan"))])),
            ("threads and batch must be at least 1", [record(threads=0)]),
            ("'threads' is true", [record(threads=True)]), ("expected an object", [3]),
            ("unknown member 'extra'", [record(extra=1)]),
            ("a second record of network resnet20@32 w8a8 1 1", [record(), record()])):
        bad = write(folder, "bad.json", content)
        for arguments in ((bad, good), (good, bad)):
            code, _, said = run(root, "compare", *arguments)
            expect(code == 2 and words in said and "bad.json" in said,
                   f"a clear error, '{words}'", code, said)
    code, _, said = run(root, "compare", good, folder + "/absent.json")
    expect(code == 2 and "absent.json" in said, "a missing file", code, said)
    other_unit = write(folder, "unit.json", [record(unit="s/image")])
    code, _, said = run(root, "compare", good, other_unit)
    expect(code == 2 and "ms/image against s/image" in said, "units must agree", code, said)


def check_reader(root, folder):
    """A reader that stops early, such as head, is no error."""
    many = write(folder, "many.json", [record(name=f"network {i}") for i in range(5000)])
    command = [sys.executable, "-B", f"{root}/bench/compare", many, many]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as compare:
        compare.stdout.readline()
        compare.stdout.close()
        said = compare.stderr.read()
    expect(not said, "no words about a pipe that is closed", said)


def main(root):
    with tempfile.TemporaryDirectory() as folder:
        check_ratios(root, folder)
        check_errors(root, folder)
        check_reader(root, folder)
    print("ratios, verdicts, exit codes and errors of bench/compare")


if __name__ == "__main__":
    main(sys.argv[1])
