#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/compare: ratios, what counts as a change, relative numbers, exit codes, errors about files.

usage: check_compare.py ROOT
"""
import json
import subprocess
import sys
import tempfile

from fixtures import expect, record, run, write


def lines_of(said):
    """The words of every line of the table by the name of its record."""
    return {line.split()[1]: line.split() for line in said.splitlines()
            if line.startswith(("network", "training", "kernel"))}


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
    lines = lines_of(said)
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


def slow_day(slow):
    """The same program on a machine that is `slow` times slower, and what is held against it."""
    step = dict(unit="images/s", peak_share=None)
    return [
        record(name="net", value=2.0 * slow),
        record(name="bare", value=3.0 * slow, peak_share=None),
        record(kind="peer", name="bare/onnxruntime-qdq", value=6.0 * slow, peak_share=None),
        record(kind="kernel", name="depthwise/isa/8x8", unit="GMAC/s", value=4.0 / slow,
               peak_share=None),
        record(kind="peer", name="depthwise/8x8/onednn", unit="GMAC/s", value=5.0 / slow,
               peak_share=None),
        record(kind="training", name="net/joint", value=100.0 / slow, **step),
        record(kind="peer", name="net/joint/pytorch", precision="f32", value=50.0 / slow, **step),
        record(kind="training", name="loader, workers 1", value=1000.0 / slow, **step),
        record(kind="kernel", name="peak/isa/u8s8", unit="GMAC/s", value=80.0 / slow,
               peak_share=None),
        record(kind="kernel", name="peak/isa/cache", unit="GB/s", value=20.0 / slow * 1.1,
               peak_share=None)]


def check_relative(root, folder):
    before = write(folder, "before.json", slow_day(1.0))
    after = write(folder, "after.json", slow_day(2.0))
    expect(run(root, "compare", "--fail-if-worse", before, after)[0] == 1,
           "half the speed is worse in absolute numbers")
    code, said, _ = run(root, "compare", "--relative", "--fail-if-worse", before, after)
    expect(code == 0, "a slow machine is no change", said)
    lines = lines_of(said)
    expect(set(lines) == {"net", "bare", "depthwise/isa/8x8", "net/joint"},
           "what nothing is measured beside is left out, and so are peaks and peers", said)
    for name, value, unit in (("net", "0.5", "peak"), ("bare", "0.5", "ms/image"),
                              ("depthwise/isa/8x8", "0.8", "GMAC/s"),
                              ("net/joint", "2", "images/s")):
        words = lines[name]
        expect(words[5:7] == [value, value] and unit in words and "1.000" in words,
               f"{name}: {value} of {unit} on both days", said)
    expect("10 lines in both: 0 better, 0 worse, 4 unchanged, 6 left out; 0 only in the first, 0 "
           "only in the second" in said, "the line that counts", said)
    expect("peaks of the second run: x 0.50 of the first's (x 0.50 to x 0.50)" in said,
           "the machines are compared by their peaks", said)


def check_relative_changes(root, folder):
    """Shares and rates are better when larger, ratios of times when smaller."""
    first, second = slow_day(1.0), slow_day(2.0)
    second[0]["peak_share"] = 0.25  # half the share
    second[1]["value"] /= 2  # half the time, of which the peer needs as much as before
    second[3]["value"] *= 1.5
    second[4]["spread"] = 0.6
    second[5]["value"] *= 0.5
    code, said, _ = run(root, "compare", "--relative", write(folder, "before.json", first),
                        write(folder, "after.json", second))
    lines = lines_of(said)
    for name, ratio, verdict in (("net", "0.500", "worse"), ("bare", "2.000", "better"),
                                 ("depthwise/isa/8x8", "1.500", "63.0%"),
                                 ("net/joint", "0.500", "worse")):
        expect(code == 0 and ratio in lines[name] and lines[name][-1] == verdict,
               f"{name}: {ratio}, {verdict}", said)

    second[0]["peak_share"] = None  # a share in one run, nothing in the other
    del second[2], second[-2:]
    said = run(root, "compare", "--relative", write(folder, "before.json", first),
               write(folder, "after.json", second))[1]
    expect(set(lines_of(said)) == {"depthwise/isa/8x8", "net/joint"},
           "both runs must have what a line is held against", said)
    expect("no peak was measured in both runs" in said, "runs without peaks", said)


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
        check_relative(root, folder)
        check_relative_changes(root, folder)
        check_errors(root, folder)
        check_reader(root, folder)
    print("ratios, relative numbers, verdicts, exit codes and errors of bench/compare")


if __name__ == "__main__":
    main(sys.argv[1])
