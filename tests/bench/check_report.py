#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/report.py: joining of passes, the three files, ratios to the peers, errors about bad lines.

usage: check_report.py ROOT
"""
import json
import pathlib
import re
import sys
import tempfile
import xml.etree.ElementTree

from fixtures import expect, record, run, write

MEMBERS = {"kind", "name", "precision", "threads", "batch", "value", "unit", "spread", "peak_share"}


def peer(name, value, **more):
    return record(kind="peer", name=name, value=value, peak_share=None, **more)


RECORDS = [
    record(value=0.8, gmacs=51.0), record(value=0.5, threads=2),
    record(precision="w1a1", value=0.25, peak_share=0.1),
    peer("resnet20@32/onnxruntime-qoperator", 1.0), peer("resnet20@32/onnxruntime-qdq", 1.1),
    peer("resnet20@32/onednn-convolutions", 0.5), peer("resnet20@32/onnxruntime-f32", 3.0,
                                                       precision="f32"),
    record(kind="kernel", name="qgemm/some<isa>/3x4", unit="GMAC/s", value=200.0, peak_share=0.85),
    record(kind="kernel", name="peak/some<isa>/u8s8", unit="GMAC/s", value=235.0, peak_share=None),
    record(kind="kernel", name="peak/some<isa>/cache", unit="GB/s", value=42.0, peak_share=None),
    record(kind="kernel", name="peak/other/u8s8", unit="GMAC/s", value=20.0, peak_share=None),
    record(kind="kernel", name="conv/some<isa>/64x64,k3,56x56", unit="GMAC/s", value=450.0,
           peak_share=0.9),
    record(kind="kernel", name="conv/some<isa>/64x64,k3,56x56", precision="w1a1", unit="GMAC/s",
           value=1800.0, peak_share=0.7),
    record(kind="kernel", name="depthwise/some<isa>/32x32,k3,g32,112x112", unit="GMAC/s",
           value=60.0, peak_share=None),
    peer("conv/64x64,k3,56x56/onednn", 500.0, unit="GMAC/s"),
    peer("depthwise/32x32,k3,g32,112x112/onednn", 40.0, unit="GMAC/s"),
    record(kind="training", name="resnet20@32/joint", precision="default", threads=1, batch=128,
           unit="images/s", value=125.0, peak_share=None),
    record(kind="training", name="resnet20@32/joint", precision="default", threads=2, batch=256,
           unit="images/s", value=245.0, peak_share=None),
    *(record(kind="training", name=f"loader bytes, small, workers {n}", precision="f32",
             threads=max(n, 1), batch=128, unit="images/s", value=1000.0 + n, peak_share=None)
      for n in (0, 1, 4)),
    record(kind="training", name="resnet20@32/joint", precision="default", threads=2, batch=128,
           unit="images/s", value=240.0, peak_share=None),
    record(kind="training", name="resnet20@32/joint/peak-memory", precision="default", threads=2,
           batch=128, unit="MiB", value=150.0, peak_share=None, spread=0),
    peer("resnet20@32/joint/pytorch", 120.0, precision="f32", threads=2, batch=128,
         unit="images/s"),
    peer("resnet20@32/joint/pytorch/peak-memory", 600.0, precision="f32", threads=2, batch=128,
         unit="MiB", spread=0),
    record(kind="switch", name="same plan", precision="w8a8 w1a1", unit="ns/call", value=150.0,
           peak_share=None),
    record(kind="switch", name="in turns", precision="w8a8 w1a1", unit="ns/call", value=151.25,
           peak_share=None),
    record(kind="program", name="classify_image", precision="", unit="bytes", value=395984,
           spread=0, peak_share=None),
    peer("onednn", None, note="not installed: no <such> library", unit="", precision=""),
]


def as_lines(records):
    return "\n".join(map(json.dumps, records)) + "\n"


def report(root, folder, *files):
    out = pathlib.Path(folder) / "out"
    code, _, said = run(root, "report.py", "--out", str(out), "--fact", "machine=a & b", *files)
    expect(code == 0, "the report is written", said)
    return out


def check_files(root, folder):
    out = report(root, folder, write(folder, "all.jsonl", as_lines(RECORDS)))
    records = json.loads((out / "bench.json").read_text(encoding="utf-8"))
    expect(records == RECORDS, "bench.json holds what was measured", records)
    for entry in records:
        expect(MEMBERS <= set(entry), "every record has every member", entry)

    table = (out / "bench.md").read_text(encoding="utf-8")
    for pattern in (r"\| w8a8 +\| +0\.800 \| +0\.500 \| +50 % \| +x 0\.80 \| .* x 1\.60 \|",
                    r"\| w1a1 +\|.* x 0\.25 \| .* x 0\.31 \|",  # of ONNX Runtime and of own w8a8
                    r"\| joint +\| default +\|.* x 2\.00 \| .* 150 \| +x 0\.25 \|",
                    r"\| conv +\| 64x64,k3,56x56 +\| w8a8 .*\| +450 \| +90 % \| +x 0\.90 \|",
                    r"\| conv +\| 64x64,k3,56x56 +\| w1a1 .*\| +70 % \| +x 3\.60 \| +x 4\.00 \|",
                    r"\| depthwise +\| 32x32,k3,g32,112x112 .*\| +60\.0 \| +\| +x 1\.50 \|",
                    r"resnet20@32/joint +\| default +\| +128 \| +128 \| +2 \| +x 1\.92 \|",
                    r"resnet20@32/joint +\| default +\| +128 \| +256 \| +2 \| +x 1\.96 \|",
                    r"\| bytes, small \| +128 \| +1000 \| +1001 \|",
                    r"qgemm +\| some<isa> +\| w8a8 +\| 3x4 +\| +200 \| +85 %",
                    r"\| instructions \| u8s8, GMAC/s \| cache, GB/s \|\n",
                    r"\| some<isa> +\| +235 \| +42\.0 \|", r"\| other +\| +20\.0 \| +\|",
                    r"\| w8a8 w1a1 +\| +150 \| +151 \| +1\.2 \|",
                    r"\| classify_image +\| 395984 \|",
                    r"x 1\.60 \|\n", r"not installed: no <such> library", r"machine: a & b"):
        expect(re.search(pattern, table), f"bench.md has {pattern}", table)

    expect(not re.search(r"\| peak +\|", table), "peaks are no rows among the kernels", table)

    page = (out / "bench.html").read_text(encoding="utf-8")
    expect(page.count("<svg") == 5, "charts: network, images twice, memory, kernels", page.count("<svg"))
    expect("<h2>Measured peaks of this machine" in page, "the peaks have a table of their own")
    outside = re.search(r"""(src|href)\s*=\s*["']?(https?:)?//|@import|url\(""", page)
    expect(not outside, "the page needs nothing from outside", outside)
    expect("<such>" not in page and "a &amp; b" in page, "texts are escaped")
    for svg in re.findall(r"<svg.*?</svg>", page, re.S):
        xml.etree.ElementTree.fromstring(svg)
    expect("prefers-color-scheme:dark" in page, "light and dark")

    again = report(root, folder, str(out / "bench.json"))
    expect((again / "bench.md").read_text(encoding="utf-8") == table, "a bench.json reads back")


def check_passes(root, folder):
    files = [write(folder, f"pass{i}.jsonl", as_lines([record(value=v, peak_share=v / 10)]))
             for i, v in enumerate((1.0, 1.4, 1.1))]
    out = report(root, folder, *files)
    whole, = json.loads((out / "bench.json").read_text(encoding="utf-8"))
    expect(whole["value"] == 1.1, "the median of the passes counts", whole)
    expect(abs(whole["spread"] - 0.4 / 1.1) < 1e-9, "the spread reaches over the passes", whole)
    expect(abs(whole["peak_share"] - 0.11) < 1e-9, "the median of the shares counts", whole)


def check_sparse(root, folder):
    """Any part may be missing."""
    for i in range(len(RECORDS)):
        report(root, folder, write(folder, "one.jsonl", as_lines([RECORDS[i]])))


def check_errors(root, folder):
    for words, content in (("bad.jsonl:2: not JSON", as_lines([record()]) + "{"),
                           ("bad.jsonl:1: no member 'unit'", '{"kind": "peer", "name": "x", '
                            '"precision": "", "threads": 1, "batch": 1, "value": 1}')):
        code, _, said = run(root, "report.py", "--out", folder + "/none",
                            write(folder, "bad.jsonl", content))
        expect(code == 2 and words in said, f"a clear error, '{words}'", code, said)


def main(root):
    with tempfile.TemporaryDirectory() as folder:
        check_files(root, folder)
        check_passes(root, folder)
        check_sparse(root, folder)
        check_errors(root, folder)
    print("bench.json, bench.md and bench.html from made-up records")


if __name__ == "__main__":
    main(sys.argv[1])
