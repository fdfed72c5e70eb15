#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/reproduce: one claim from images to chart, on made-up ones; bad input; repeated runs agree.

usage: check_reproduce.py ROOT PROGRAM
"""
import csv
import pathlib
import random
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

CLASSES, RECORDS = 3, 60
SMALL = ["--classes", str(CLASSES), "--train-images", "40", "--test-images", "20", "--epochs", "1",
         "--batch", "20", "--width", "2", "--seeds", "1"]


def write_images(folder):
    """CIFAR-100 in its binary layout: images of class c are bright in a third of their own."""
    generator = random.Random(1)
    for name in ("train.bin", "test.bin"):
        data = bytearray()
        for i in range(RECORDS):
            label = i % (CLASSES + 1)  # one class that the run must leave out
            data += bytes([0, label])
            for _ in range(3):
                data += bytes(generator.randrange(60) + (150 if pixel // 342 == label else 0)
                              for pixel in range(1024))
        (folder / name).write_bytes(data)


def reproduce(program, *arguments):
    return subprocess.run([program, *map(str, arguments)], text=True, capture_output=True,
                          check=False)


def check_search(program, data, out):
    """The latency table of one search is the input of the next; plans are left as files."""
    first = reproduce(program, "searched-plan", "--data", data, "--out", out, *SMALL)
    assert first.returncode == 0, first.stdout + first.stderr
    table = out / "searched-plan-latency.csv"
    again = out / "again"
    second = reproduce(program, "searched-plan", "--data", data, "--out", again,
                       "--latency", table, *SMALL)
    assert second.returncode == 0, second.stdout + second.stderr
    assert f"--latency {table}" in (again / "searched-plan.txt").read_text()
    assert not (again / table.name).exists(), "the table was given"
    for name in ("searched-plan-bit-operations-seed1.txt", "searched-plan-milliseconds-seed1.txt"):
        plan = (out / name).read_text()
        assert plan.startswith("bitdial plan 1\n") and "stage1.block1.conv1" in plan, plan
        assert plan == (again / name).read_text(), f"{name}: the same costs, another plan"


def main(root, program):
    listed = reproduce(program, "--list").stdout.split()
    assert len(listed) >= 7 and "nested-store" in listed, listed
    with tempfile.TemporaryDirectory() as scratch:
        data, out, again = (pathlib.Path(scratch) / name for name in ("data", "out", "again"))
        data.mkdir()
        missing = reproduce(program, "nested-store", "--data", data, "--out", out)
        assert missing.returncode == 1 and "train.bin" in missing.stderr, missing.stderr
        write_images(data)
        for folder in (out, again):
            ran = reproduce(program, "nested-store", "--data", data, "--out", folder, *SMALL)
            assert ran.returncode == 0, ran.stdout + ran.stderr
        csv_file, text = out / "nested-store.csv", (out / "nested-store.txt").read_text()
        with open(csv_file, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [(row["arm"], row["precision"]) for row in rows] == [
            (arm, bits) for arm in ("AdaBits, nested store", "AdaBits, pack per width",
                                    "AdaBits, real values", "AdaBits centred, nested store",
                                    "DoReFa, pack per width", "DoReFa, bits cut off")
            for bits in ("w8a8", "w4a4", "w2a2")], rows
        nested, apart, real = (int(row["bytes"]) for row in rows[0:9:3])
        assert 0 < nested < apart < real, (
            f"one store of 8 bits, {nested}, against 8 + 4 + 2, {apart}, and 32, {real}")
        top1 = [row["top1"] for row in rows]
        assert top1[0:3] == top1[3:6] == top1[6:9], f"three stores of one network: {top1}"
        assert top1[12] == top1[15], f"nothing is cut off at 8 bits: {top1}"
        assert all(0.0 <= float(row["top1"]) <= 1.0 for row in rows), rows
        for line in ("claim: ", "found: ", "small: ", "machine: ", "command: "):
            assert line in text, f"no line '{line}' in:\n{text}"
        assert csv_file.read_text() == (again / "nested-store.csv").read_text(), "seeds are not fixed"

        check_search(program, data, out)
        for quantizers in ("dorefa", "hwgq"):
            other = out / quantizers
            ran = reproduce(program, "self-distillation", "--data", data, "--out", other,
                            "--quantizers", quantizers, *SMALL)
            assert ran.returncode == 0, ran.stdout + ran.stderr
            assert f" --quantizers {quantizers}" in (other / "self-distillation.txt").read_text()

        chart = out / "nested-store.svg"
        draw = pathlib.Path(root) / "bench" / "reproduce" / "draw.py"
        subprocess.run([sys.executable, "-B", draw, csv_file, chart], check=True)
        drawn = xml.etree.ElementTree.parse(chart).getroot()
        dots = [node for node in drawn.iter() if node.tag.endswith("circle")]
        assert len(dots) == len(rows), f"{len(dots)} dots for {len(rows)} rows"
    print("one claim from images to chart, twice with the same numbers")


if __name__ == "__main__":
    main(*sys.argv[1:])
