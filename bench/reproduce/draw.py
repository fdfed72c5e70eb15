#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rows of a claim as a chart: a row per precision and arm, a dot per seed, a tick at the median.

usage: draw.py CLAIM.csv CLAIM.svg
"""
import csv
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import charts  # noqa: E402

STYLE = """
svg { font: 12.5px system-ui, sans-serif; background: #fff; }
text { fill: #1d2733; }
.tick, .value { fill: #5b6775; }
.name { font-weight: 600; }
.grid { stroke: #e3e7ec; }
.range { stroke: #b9c2cc; }
.median { stroke: #1d2733; stroke-width: 1.5; }
.s0 { fill: #2f6fde; } .s1 { fill: #d9822b; } .s2 { fill: #2e9e6b; } .s3 { fill: #9a55c4; }
"""


def rows_of(path):
    """Chart rows, grouped by precision in the order of the file, arms inside."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            table = list(csv.DictReader(file))
    except OSError as error:
        sys.exit(f"{path}: {error.strerror}; bench/reproduce/run.sh writes it")
    if not table:
        sys.exit(f"{path}: expected at least one row, found none")
    arms = list(dict.fromkeys(row["arm"] for row in table))
    rows = []
    for precision in dict.fromkeys(row["precision"] for row in table):
        heading = precision
        for arm in arms:
            dots = [(100 * float(row["top1"]), f"{arm}, {precision}, seed {row['seed']}")
                    for row in table if row["arm"] == arm and row["precision"] == precision]
            if dots:
                rows.append(charts.DotRow(arm, dots, f"s{arms.index(arm) % 4}", heading))
                heading = ""
    return rows


def main(source, target):
    rows = rows_of(source)
    highest = max(value for row in rows for value, _ in row.dots)
    # A scale that ends at a multiple of ten above the best dot.
    chart = charts.dot_chart(rows, f"top-1 of {pathlib.Path(source).stem}", "%",
                             10 * (int(highest / 10) + 1), width=720)
    head, body = chart.split(">", 1)
    pathlib.Path(target).write_text(
        f'{head} xmlns="http://www.w3.org/2000/svg"><style>{STYLE}</style>{body}\n',
        encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    main(*sys.argv[1:])
