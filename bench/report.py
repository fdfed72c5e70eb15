#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Joins the records of all benchmark programs into bench.json, bench.md and bench.html.

usage: report.py --out FOLDER [--fact NAME=VALUE]... RECORDS...

RECORDS are files with one record per line, or a bench.json.
"""
import argparse
import html
import json
import pathlib
import re
import sys

import charts
import results
from results import parts_of_kernel, value_of

# What a bar of the peers is called, and its colour.
PEERS = {"onnxruntime-qoperator": "ONNX Runtime", "onnxruntime-qdq": "ONNX Runtime, QDQ",
         "onnxruntime-f32": "ONNX Runtime", "onnxruntime": "ONNX Runtime",
         "onednn-convolutions": "oneDNN, convolutions", "onednn": "oneDNN", "pytorch": "PyTorch"}
STEPS = {"joint": "joint step, 32 8 4 2 1 bits", "dorefa-w4a4": "DoReFa w4a4", "plain": "plain f32"}
# Kernels that are whole layers; the shapes of the others are those of matrix products.
LAYERS = ("conv", "grouped", "depthwise", "linear")
STYLE = """
:root{color-scheme:light dark;--panel:#fff;--ink:#1b1f24;--muted:#5c6670;--grid:#e6e9ec;
--line:#d5dae0;--back:#f6f7f9;--c0:#0072b2;--c1:#d55e00;--c2:#8b95a1;--c3:#a8438a;--c4:#009e73}
@media(prefers-color-scheme:dark){:root{--panel:#1b1f25;--ink:#e8ebee;--muted:#9aa5b1;
--grid:#2a3037;--line:#343b44;--back:#121519;--c0:#56b4e9;--c1:#ff8f4d;--c2:#7d8896;--c3:#e08fc4;
--c4:#2fc79a}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--ink);font:15px/1.5 system-ui,-apple-system,
"Segoe UI",Roboto,"Helvetica Neue","Liberation Sans",Arial,sans-serif}
main{max-width:1180px;margin:0 auto;padding:40px 24px 56px}
h1{font-size:28px;line-height:1.2;margin:0 0 6px;letter-spacing:-.01em}
h2{font-size:19px;margin:36px 0 4px}h3{font-size:15px;margin:0 0 10px}
p{margin:0;color:var(--muted);max-width:95ch}
section,figure{background:var(--panel);border:1px solid var(--line);border-radius:10px;
padding:18px 20px;margin:0}
.grid2{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:16px;margin:14px 0}
.wide{grid-column:1/-1}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(190px,1fr));gap:16px;
margin:24px 0 8px}
.tile{background:var(--panel);border:1px solid var(--line);border-radius:10px;padding:14px 18px}
.tile b{display:block;font-size:25px;line-height:1.25;font-weight:600}
.tile span{color:var(--muted);font-size:13px}
@media(max-width:860px){.grid2{grid-template-columns:minmax(0,1fr)}figure{overflow-x:auto}
.wide svg.chart{min-width:780px}}
.warning{color:var(--c1)}
.key{display:flex;flex-wrap:wrap;gap:4px 18px;margin:8px 0 0;font-size:13px;color:var(--muted)}
.key i{display:inline-block;width:12px;height:12px;border-radius:2px;margin-right:6px;
vertical-align:-1px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:14px}
th{font-size:13px;font-weight:600;color:var(--muted);border-bottom:1px solid var(--line);
vertical-align:bottom}
th,td{padding:5px 20px 5px 0;text-align:right}td,th.l{white-space:nowrap}
th:first-child,td:first-child,td.l,th.l{text-align:left}
th:last-child,td:last-child{padding-right:0}
tbody tr+tr td{border-top:1px solid var(--grid)}tbody tr.new td{border-top-color:var(--muted)}
details{margin-top:14px}summary{cursor:pointer;color:var(--muted)}
svg.chart{display:block;width:100%;height:auto;font-family:inherit}
.chart text{font-size:12.5px;fill:var(--ink)}
.chart .tick{fill:var(--muted);font-variant-numeric:tabular-nums}
.chart .label{fill:var(--muted)}.chart .name{font-weight:600}
.chart .value{font-variant-numeric:tabular-nums;paint-order:stroke;stroke:var(--panel);
stroke-width:3px;stroke-linejoin:round}
.chart .grid{stroke:var(--grid)}.chart .range{stroke:var(--line);stroke-width:2}
.chart .median{stroke:var(--ink);stroke-width:2}
.chart .mark{stroke:var(--c1);stroke-dasharray:3 4}
.chart .dot{stroke:var(--panel)}.pale{opacity:.45}
.s0{fill:var(--c0);background:var(--c0)}.s1{fill:var(--c1);background:var(--c1)}
.s2{fill:var(--c2);background:var(--c2)}.s3{fill:var(--c3);background:var(--c3)}
.s4{fill:var(--c4);background:var(--c4)}
@media print{body{background:#fff}section,figure,.tile{break-inside:avoid}}
"""


class Book(results.Run):
    """The questions that the tables ask of all records."""

    def distinct(self, kind, member):
        return list(dict.fromkeys(r[member] for r in self.records if r["kind"] == kind))

    def threads(self, kind):
        return sorted(set(self.distinct(kind, "threads")))

    def absent(self):
        """Peers that were not measured, with the reason."""
        return list(dict.fromkeys((r["name"], r["note"]) for r in self.records
                                  if r["value"] is None))

    def disturbed(self):
        """How many numbers were measured while other programs took a core."""
        return sum(r["value"] is not None and bool(r.get("note")) for r in self.records)


class Table:
    """Columns and rows of text, for Markdown and HTML; the first `left` columns are words."""

    def __init__(self, *columns, left=1):
        self.columns, self.left, self.rows = columns, left, []

    def markdown(self):
        rows = [self.columns, *self.rows]
        widths = [max(len(row[i]) for row in rows) for i in range(len(self.columns))]
        rule = ["-" * w if i < self.left else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
        return "\n".join("| " + " | ".join(
            cell.ljust(w) if i < self.left else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths))) + " |"
            for row in [self.columns, rule, *self.rows]) + "\n"

    def html(self):
        def cells(tag, row):
            return "".join(f'<{tag} class="l">{html.escape(cell)}</{tag}>' if i < self.left
                           else f"<{tag}>{html.escape(cell)}</{tag}>" for i, cell in enumerate(row))
        body, before = "", None
        for row in self.rows:  # the first word of a group stands for all its rows
            first = row[0] if row[0] != before else ""
            new = ' class="new"' if first and before is not None else ""
            body += f"<tr{new}>{cells('td', (first, *row[1:]))}</tr>\n"
            before = row[0]
        return (f'<div class="scroll"><table><thead><tr>{cells("th", self.columns)}</tr></thead>\n'
                f"<tbody>{body}</tbody></table></div>")


def show(value, suffix=""):
    return "" if value is None else charts.number(value) + suffix


def ratio(value, reference):
    return "" if value is None or not reference else f"x {value / reference:.2f}"


def percent(share):
    return "" if share is None else f"{100 * share:.0f} %"


def networks_table(book, batch):
    """Latency of our plans and of the peers, network by network."""
    teams = book.threads("network") or [1]
    table = Table("network", "precision", *(f"ms, {t} thread{'s' * (t > 1)}" for t in teams),
                  "share of peak",
                  *(f"of ONNX Runtime int8, {t}T" for t in teams),
                  *(f"of oneDNN's convolutions, {t}T" for t in teams), "of own w8a8", left=2)
    for network in book.distinct("network", "name"):
        def row(name, precision, kind, full):
            values = [book.value(kind, full, precision, t, batch) for t in teams]
            if all(value is None for value in values):
                return
            record = book.find(kind, full, precision, teams[0], batch)
            own = book.value("network", network, "w8a8", teams[0], batch)
            table.rows.append((
                network, name, *(show(value) for value in values),
                percent(record and record["peak_share"]),
                *(ratio(v, value_of(book.onnxruntime(network, t, batch)))
                  for v, t in zip(values, teams)),
                *(ratio(v, book.value("peer", f"{network}/onednn-convolutions", "w8a8", t, batch))
                  for v, t in zip(values, teams)),
                ratio(values[0], own) if kind == "network" else ""))
        for precision in book.distinct("network", "precision"):
            row(precision, precision, "network", network)
        for suffix, precision in (("onnxruntime-qoperator", "w8a8"), ("onnxruntime-qdq", "w8a8"),
                                  ("onnxruntime-f32", "f32"), ("onednn-convolutions", "w8a8")):
            row(f"{PEERS[suffix]} {precision.replace('w8a8', 'int8')}", precision, "peer",
                f"{network}/{suffix}")
    return table


def training_table(book):
    """Images per second and peak memory of each step, with PyTorch's beside."""
    peers = ("f32", "bf16")
    table = Table("network", "step", "variant", "threads", "batch", "images/s",
                  "of PyTorch f32", "of PyTorch bf16", "peak MiB", "of PyTorch's", left=3)
    for record in book.records:
        if record["unit"] != "images/s" or record["kind"] not in ("training", "peer"):
            continue
        if record["value"] is None or record["name"].startswith("loader"):
            continue
        network, step = record["name"].split("/")[:2]
        key = (record["threads"], record["batch"])
        name = f"{network}/{step}"
        memory = book.value(record["kind"], record["name"] + "/peak-memory", record["precision"],
                            *key)
        own = record["kind"] == "training"
        table.rows.append((
            network, step, record["precision"] if own else f"PyTorch {record['precision']}",
            str(record["threads"]), str(record["batch"]), show(record["value"]),
            *(ratio(record["value"], value_of(book.pytorch(name, p, *key))) for p in peers),
            show(memory),
            ratio(memory, value_of(book.pytorch(name + "/peak-memory", "f32", *key)))))
    order = {name: i for i, name in enumerate(dict.fromkeys(row[0] for row in table.rows))}
    steps = {name: i for i, name in enumerate(STEPS)}
    table.rows.sort(key=lambda r: (order[r[0]], steps.get(r[1], 9), int(r[4]), int(r[3]),
                                   r[2].startswith("PyTorch"), r[2]))
    return table


def peaks_table(book):
    """What kernels are held against: a row per instruction set, a column per peak."""
    found, columns = {}, {}
    for record in filter(results.is_peak, book.records):
        _, isa, name = parts_of_kernel(record)
        found.setdefault(isa, {})[name] = record["value"]
        columns[name] = f"{name}, {record['unit']}"
    table = Table("instructions", *columns.values())
    for isa, values in found.items():
        table.rows.append((isa, *(show(values.get(name)) for name in columns)))
    return table


def kernels_table(book):
    table = Table("kernel", "instructions", "precision", "shape", "G/s", "share of peak",
                  "of u8s8", "spread", left=4)
    for record in book.records:
        kernel, isa, shape = parts_of_kernel(record)
        if record["kind"] == "kernel" and kernel not in LAYERS and not results.is_peak(record):
            table.rows.append((kernel, isa, record["precision"], shape, show(record["value"]),
                               percent(record["peak_share"]), ratio(record.get("times_u8s8"), 1),
                               percent(record["spread"])))
    return table


def layers_table(book):
    """The convolutions of networks one by one, with oneDNN's beside; more GMAC/s are better."""
    table = Table("layer", "shape", "precision", "threads", "batch", "GMAC/s", "share of peak",
                  "of oneDNN int8", "of own w8a8", "spread", left=3)
    for record in book.records:
        kernel, isa, shape = parts_of_kernel(record)
        if record["kind"] != "kernel" or kernel not in LAYERS:
            continue
        key = (record["threads"], record["batch"])
        table.rows.append((
            kernel, shape, record["precision"], *map(str, key), show(record["value"]),
            percent(record["peak_share"]),
            ratio(record["value"], value_of(book.peer_of(record))),
            ratio(record["value"], book.value("kernel", record["name"], "w8a8", *key)),
            percent(record["spread"])))
    shapes = {row[:2]: i for i, row in reversed(list(enumerate(table.rows)))}
    table.rows.sort(key=lambda row: (LAYERS.index(row[0]), shapes[row[:2]]))
    return table


def scaling_table(book):
    """Several threads against one: with the same batch, and with a batch that grows with them."""
    table = Table("kind", "name", "precision", "batch, 1 thread", "batch", "threads", "speed-up",
                  left=3)
    for record in book.records:
        threads, batch = record["threads"], record["batch"]
        if threads == 1 or record["value"] is None or record["unit"] == "MiB":
            continue
        for alone in (batch, *([batch // threads] if batch % threads == 0 else [])):
            single = book.find(record["kind"], record["name"], record["precision"], 1, alone)
            if not single:
                continue
            faster = record["value"] / single["value"]
            if results.smaller_is_better(record):
                faster = 1 / faster
            table.rows.append((record["kind"], record["name"], record["precision"], str(alone),
                               str(batch), str(threads), f"x {faster:.2f}"))
    return table


def loader_table(book):
    """Images per second of the loader alone, by number of workers."""
    found = {}
    for record in book.records:
        match = re.fullmatch(r"loader (.*), workers (\d+)", record["name"])
        if match and record["value"] is not None:
            images, workers = match[1], int(match[2])
            found.setdefault((images, record["batch"]), {})[workers] = record["value"]
    counts = sorted({workers for rates in found.values() for workers in rates})
    table = Table("images", "batch", *(f"images/s, {n} worker{'s' * (n != 1)}" for n in counts))
    for (images, batch), rates in found.items():
        table.rows.append((images, str(batch), *(show(rates.get(n)) for n in counts)))
    return table


def switch_table(book):
    """What a call of run takes with one plan and with two in turns."""
    table = Table("plans", "ns, the same plan", "ns, in turns", "ns, a switch")
    for plans in book.distinct("switch", "precision"):
        same, turns = (book.value("switch", name, plans, 1, 1) for name in ("same plan", "in turns"))
        both = same is not None and turns is not None
        table.rows.append((plans, show(same), show(turns), f"{turns - same:.1f}" if both else ""))
    return table


def programs_table(book):
    """How large linked programs are."""
    table = Table("program", "bytes")
    for record in book.records:
        if record["kind"] == "program":
            table.rows.append((record["name"], f"{record['value']:.0f}"))
    return table


def network_charts(book, batch):
    """One chart per network: our plans and the integer peers, one thread thick, more thin."""
    figures = []
    teams = book.threads("network") or [1]
    for network in book.distinct("network", "name"):
        bars = []
        def add(name, css, heading, *key):
            first = book.value(*key, teams[0], batch)
            if first is not None:
                bars.append(charts.Bar(
                    name, first, book.value(*key, teams[-1], batch) if len(teams) > 1 else None,
                    css, "" if reference is None else f" · x {first / reference:.2f}", heading))
        reference = value_of(book.onnxruntime(network, teams[0], batch))
        for precision in book.distinct("network", "precision"):
            add(precision, "s0", "", "network", network, precision)
        for suffix, css in (("onnxruntime-qoperator", "s1"), ("onednn-convolutions", "s2")):
            add(f"{PEERS[suffix]} int8", css, "", "peer", f"{network}/{suffix}", "w8a8")
        if bars:
            mark = (reference, "ONNX Runtime int8") if reference else None
            figures.append((network, charts.bar_chart(bars, network, mark=mark)))
    return figures


def kernel_charts(book):
    """One chart per instruction set: share of peak by kernel and bits, a dot per shape."""
    figures = []
    by_isa = {}
    for record in book.records:
        if record["kind"] == "kernel" and record["peak_share"] is not None:
            kernel, isa, shape = parts_of_kernel(record)
            rows = by_isa.setdefault(isa, {}).setdefault(kernel, {})
            rows.setdefault(record["precision"], []).append((100 * record["peak_share"], shape))
    for isa, kernels in by_isa.items():
        rows = []
        for kernel, precisions in sorted(kernels.items()):
            for i, (precision, dots) in enumerate(precisions.items()):
                rows.append(charts.DotRow(precision, dots, "s0", kernel if i == 0 else ""))
        highest = max(100, max(value for row in rows for value, _ in row.dots))
        figures.append((isa, charts.dot_chart(rows, isa, "%", highest)))
    return figures


def step_of(record):
    """The training step that a record is of, ours or a peer's; none of loading or of a network."""
    step = record["name"].partition("/")[2].partition("/")[0]
    return step if record["kind"] in ("training", "peer") and step in STEPS else None


def training_threads(book):
    """The most threads of our training steps."""
    return max((record["threads"] for record in book.records
                if record["kind"] == "training" and step_of(record)), default=1)


def training_charts(book):
    """For each network: images per second, and peak memory, of every step and variant."""
    found = {}
    teams = training_threads(book)
    for record in book.records:
        step = step_of(record)
        if step and record["threads"] == teams and record["value"] is not None:
            network = record["name"].partition("/")[0]
            memory = record["unit"] == "MiB"
            css = ("s0" if record["kind"] == "training" else "s1")
            name = record["precision"] if css == "s0" else f"PyTorch {record['precision']}"
            name = "bitdial" if name == "default" else f"bitdial, {name}" if css == "s0" else name
            batch = record["batch"]
            found.setdefault((network, batch), {}).setdefault(memory, {}).setdefault(
                step, []).append(charts.Bar(name, record["value"], css=css))
    figures = []
    for (network, batch), halves in found.items():
        for memory, unit in ((False, "images per second"), (True, "MiB at most")):
            bars = []
            for step, words in STEPS.items():
                group = sorted(halves.get(memory, {}).get(step, []), key=lambda b: b.css)
                bars += group
                if group:
                    group[0].heading = words
            if bars:
                title = f"{network}, batch {batch}, {teams} threads: {unit}"
                figures.append((title, charts.bar_chart(bars, title)))
    return figures


def highlights(book):
    """The numbers that one looks for first: (value, words)."""
    facts = []
    for network in book.distinct("network", "name"):
        for precision in ("w8a8", "w1a1"):
            own = book.value("network", network, precision, 1, 1)
            peer = value_of(book.onnxruntime(network, 1, 1))
            if own and peer:
                facts.append((ratio(own, peer), f"of ONNX Runtime's int8 time: {network}, "
                              f"{precision}, 1 thread"))
    for record in book.records:
        if record["kind"] == "training" and record["name"].endswith("/joint"):
            peer = value_of(book.peer_of(record))
            if peer and record["value"] and record["threads"] == training_threads(book):
                facts.append((ratio(record["value"], peer), "of PyTorch's f32 images per second: "
                              f"joint step of {record['name'].split('/')[0]}, "
                              f"{record['precision']} options"))
    return facts


def batches(book):
    return sorted(set(book.distinct("network", "batch")))


def disturbance(book):
    return (f"Other programs kept a part of the machine busy: {book.disturbed()} of "
            f"{len(book.records)} numbers are not to be trusted.")


def markdown(book, facts):
    out = ["# Benchmarks\n"]
    out += [f"* {name}: {value}" for name, value in facts]
    out.append("\nTimes are medians; `x 0.80` means 0.80 times the other's number in the same run."
               " How they are measured: docs/benchmarks.md.\n")
    if book.disturbed():
        out.append(disturbance(book) + "\n")
    for batch in batches(book):
        out.append(f"## Networks, batch {batch}\n\n{networks_table(book, batch).markdown()}")
    for title, table in (("Training", training_table(book)), ("Scaling", scaling_table(book)),
                         ("Loading images", loader_table(book)),
                         ("Layers", layers_table(book)),
                         ("Kernels, one thread", kernels_table(book)),
                         ("Measured peaks of this machine, one thread", peaks_table(book)),
                         ("Switching the plan", switch_table(book)),
                         ("Programs, stripped", programs_table(book))):
        if table.rows:
            out.append(f"## {title}\n\n{table.markdown()}")
    if book.absent():
        out.append("## Not measured\n")
        out += [f"* {name}: {note}" for name, note in book.absent()]
    return "\n".join(out).rstrip("\n") + "\n"


def figure(title, svg, css=""):
    return f'<figure{css}><h3>{html.escape(title)}</h3>{svg}</figure>\n'


def key(*entries):
    return '<div class="key">' + "".join(
        f'<span><i class="{css}"></i>{html.escape(words)}</span>' for css, words in entries
    ) + "</div>\n"


def page(book, facts):
    out = ['<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>\n'
           '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
           '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
           "style-src 'unsafe-inline'\"/>\n<title>bitdial benchmarks</title>\n"
           f"<style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>bitdial benchmarks</h1>\n"]
    out.append(f"<p>{html.escape(' · '.join(value for _, value in facts))}</p>\n")
    if book.disturbed():
        out.append(f'<p class="warning">{html.escape(disturbance(book))}</p>\n')
    tiles = highlights(book)
    if tiles:
        out.append('<div class="tiles">' + "".join(
            f'<div class="tile"><b>{html.escape(value)}</b><span>{html.escape(words)}</span></div>'
            for value, words in tiles) + "</div>\n")
    for batch in batches(book):
        figures = network_charts(book, batch)
        if figures:
            out.append(f"<h2>Networks, batch {batch}</h2>\n<p>Milliseconds per image, shorter is "
                       "better. Thick bars: one thread; thin bars: the most threads. The ratio is "
                       "that of one thread to ONNX Runtime's 8-bit network.</p>\n")
            out.append(key(("s0", "bitdial, per precision"), ("s1", "ONNX Runtime, 8 bits"),
                           ("s2", "oneDNN's 8-bit convolutions alone, a lower bound")))
            out.append('<div class="grid2">' + "".join(figure(*f) for f in figures) + "</div>\n")
            out.append(f"<section>{networks_table(book, batch).html()}</section>\n")
    figures = training_charts(book)
    if figures:
        out.append("<h2>Training steps</h2>\n<p>On random images: more images per second and less "
                   "memory are better.</p>\n")
        out.append(key(("s0", "bitdial"), ("s1", "PyTorch")))
        out.append('<div class="grid2">' + "".join(figure(*f) for f in figures) + "</div>\n")
        out.append(f"<section>{training_table(book).html()}</section>\n")
    figures = kernel_charts(book)
    if figures:
        out.append("<h2>Kernels</h2>\n<p>Share of what the same instructions reach on registers "
                   "alone, one thread, measured in the same run. A dot is a shape, the line their "
                   "median.</p>\n")
        out.append('<div class="grid2">' + "".join(
            figure(title, svg, ' class="wide"') for title, svg in figures) + "</div>\n")
    for words, table in (("All layers", layers_table(book)), ("All kernels", kernels_table(book)),
                         ("Scaling over threads", scaling_table(book))):
        if table.rows:
            out.append(f"<details><summary>{words}</summary><section>{table.html()}</section>"
                       "</details>\n")
    for title, table in (("Measured peaks of this machine, one thread", peaks_table(book)),
                         ("Loading images", loader_table(book)),
                         ("Switching the plan", switch_table(book)),
                         ("Programs, stripped", programs_table(book))):
        if table.rows:
            out.append(f"<h2>{title}</h2>\n<section>{table.html()}</section>\n")
    for name, note in book.absent():
        out.append(f"<p>{html.escape(name)}: {html.escape(note)}</p>\n")
    return "".join(out) + "</main>\n</body>\n</html>\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", required=True, help="folder for the three files")
    parser.add_argument("--fact", action="append", default=[], metavar="NAME=VALUE",
                        help="said at the top, for example machine=...")
    parser.add_argument("records", nargs="+", help="files of records, one per line, or a bench.json")
    arguments = parser.parse_args()
    facts = [tuple(re.split(r"\s*=\s*", fact, maxsplit=1)) for fact in arguments.fact]
    if any(len(fact) != 2 for fact in facts):
        parser.error("a fact is NAME=VALUE")
    try:
        records = []
        for path in arguments.records:
            records += results.read(path) if path.endswith(".json") else results.read_lines(path)
    except results.BadResults as error:
        print(f"report: {error}", file=sys.stderr)
        return 2
    records = results.joined(records)
    book = Book(records)
    out = pathlib.Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join("  " + json.dumps(record) for record in records)
    for name, content in (("bench.json", f"[\n{lines}\n]\n"), ("bench.md", markdown(book, facts)),
                          ("bench.html", page(book, facts))):
        (out / name).write_text(content, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
