#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The options of the benchmark programs: peaks beside kernels, single convolutions and layers under
one name in all of them, every width, explanations, and mistakes as sentences. The times are as short
as they can be.

usage: check_programs.py BENCH_KERNELS BENCH_MODELS [BENCH_ONEDNN]
"""
import json
import math
import pathlib
import subprocess
import sys
import tempfile

SHORT = ["--threads", "1", "--seconds", "0.001"]
SHAPES = ["17x48,k5,s2,d2,28x28", "16x16,k3,g16,14x14", "8x12,k1x3,p0,g2,9x9", "32x10,1x1"]
NAMES = ["conv/{}17x48,k5,s2,d2,28x28", "depthwise/{}16x16,k3,g16,14x14",
         "grouped/{}8x12,k1x3,p0,g2,9x9", "linear/{}32x10,1x1"]


def run(*command, fails=False):
    done = subprocess.run([str(c) for c in command], text=True, capture_output=True, check=False)
    said = done.stdout + done.stderr
    assert (done.returncode > 0) == fails, (command, done.returncode, said)
    assert done.returncode >= 0, (command, done.returncode, said)
    return said


def records(folder, *command):
    path = folder / "records.jsonl"
    run(*command, *SHORT, "--json", path)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def check_convolutions(folder, bench_models):
    asked = [word for shape in SHAPES for word in ("--conv", shape)]
    plans = [f"w1a{bits}" for bits in (1, 2, 3, 4, 5)] + ["w8a8", "w7a6"]
    found = records(folder, bench_models, *asked, "--batch", "1", "--batch", "3",
                    *(word for plan in plans for word in ("--plan", plan)))
    assert len(found) == len(SHAPES) * len(plans) * 2, found
    isa = found[0]["name"].split("/")[1]
    assert {r["name"] for r in found} == {name.format(isa + "/") for name in NAMES}, found
    for record in found:
        assert record["kind"] == "kernel" and record["unit"] == "GMAC/s" and record["value"] > 0, record
    for share in (r["peak_share"] for r in found if r["name"].startswith("depthwise")):
        assert share is None, "depthwise kernels are made of other instructions"

    text = run(bench_models, "--conv", SHAPES[0], "--plan", "w1a3", "--explain")
    assert "plan w1a3" in text and "conv 5x5 stride 2x2 dilation 2x2" in text, text
    text = run(bench_models, "--conv", SHAPES[0], "--plan", "w1a3", "--profile", *SHORT)
    assert "share_of_peak" in text and SHAPES[0] in text, text


def check_layers(folder, bench_models):
    """A layer's name is what --conv reads."""
    found = records(folder, bench_models, "--network", "resnet20@32", "--plan", "w1a3", "--layers")
    shapes = [r["name"].split("/", 2)[2] for r in found]
    assert len(set(shapes)) == len(shapes), "one record for each shape"
    for shape in ("3x16,k3,32x32", "16x32,k3,s2,32x32", "64x64,k3,8x8", "64x10,1x1"):
        assert shape in shapes, shapes
    bits = {r["name"].split("/", 2)[2]: r["precision"] for r in found}
    assert bits["3x16,k3,32x32"] == "w8a8" and bits["64x64,k3,8x8"] == "w1a3", bits
    again = records(folder, bench_models, "--plan", "w1a3",
                    *(word for shape in shapes for word in ("--conv", shape)))
    assert [r["name"] for r in again] == [r["name"] for r in found], again


def check_peaks(folder, bench_kernels):
    """What kernels were held against is measured in the same run and written once."""
    path = folder / "kernels.jsonl"
    run(bench_kernels, "--quick", "--json", path, "--benchmark_filter=^(tile_u8s8|gemv_u8s8)/")
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    peaks = {r["name"]: r for r in found if r["name"].startswith("peak/")}
    held = [r for r in found if r["peak_share"] is not None]
    expected = {"tile_u8s8": "u8s8", "gemv_u8s8": "cache"}
    names = [r["name"].split("/") for r in held]
    assert set(peaks) == {f"peak/{isa}/{expected[kernel]}" for kernel, isa, _ in names}, found
    assert len(found) == len({(r["name"], r["precision"]) for r in found}), found
    for name, record in peaks.items():
        unit = "GB/s" if name.endswith("/cache") else "GMAC/s"
        assert record["kind"] == "kernel" and record["unit"] == unit and record["value"] > 0, record
        assert record["peak_share"] is None and record["precision"] == "w8a8", record
    for record in (r for r in held if r["name"].startswith("gemv")):  # a byte of weights each
        peak = peaks[f"peak/{record['name'].split('/')[1]}/cache"]
        share = record["value"] / peak["value"]
        assert math.isclose(record["peak_share"], share, rel_tol=1e-6), (record, peak)


def check_peer(folder, bench_onednn):
    asked = [word for shape in SHAPES for word in ("--conv", shape)]
    found = records(folder, bench_onednn, *asked)
    names = {name.format("") + "/onednn" for name in NAMES}
    assert {r["name"] for r in found} == names, found
    assert {r["precision"] for r in found} == {"w8a8", "f32"}, found
    found = records(folder, bench_onednn, "--network", "resnet20@32", "--layers")
    assert "conv/16x32,k3,s2,32x32/onednn" in {r["name"] for r in found}, found


def check_mistakes(bench_kernels, bench_models):
    for shape, words in (("17", "does not begin with two channel counts"),
                         ("0x4,8x8", "does not begin with two channel counts"),
                         ("17x48,56", "does not end with the extents of an image"),
                         ("17x48,k5,,8x8", "'' is no option"),
                         ("17x48,q5,8x8", "'q5' is no option"),
                         ("17x48,g1x2,8x8", "'g1x2' is no option"),
                         ("17x48,s99999999999,8x8", "'s99999999999' is no option"),
                         ("17x48,s0,8x8", "at least 1"),
                         ("17x48,g2,8x8", "the groups must divide both numbers of channels"),
                         ("17x48,k5,p0,4x4", "the kernel is larger than the padded image")):
        text = run(bench_models, "--conv", shape, fails=True)
        assert f"convolution '{shape}'" in text and words in text and "17x48,k5,s2,d2" in text, text
    for plan in ("w9a9", "w32a32", "w4", "w8a8,w4a4"):
        text = run(bench_models, "--plan", plan, fails=True)
        assert plan in text and "expected" in text and "GMAC/s" not in text, text
    text = run(bench_kernels, "--json", fails=True)
    assert "--json needs a file" in text, text
    text = run(bench_kernels, "--help")
    assert "--json FILE" in text and "--quick" in text and "--benchmark_filter" in text, text


def main(bench_kernels, bench_models, *bench_onednn):
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        check_mistakes(bench_kernels, bench_models)
        check_peaks(folder, bench_kernels)
        check_convolutions(folder, bench_models)
        check_layers(folder, bench_models)
        for program in bench_onednn:
            check_peer(folder, program)
    print("peaks, convolutions, layers, plans and mistakes of the benchmark programs")


if __name__ == "__main__":
    main(*sys.argv[1:])
