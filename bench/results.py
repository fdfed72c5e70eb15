# SPDX-License-Identifier: Apache-2.0
"""Reading, checking, joining and finding the records that docs/benchmarks.md describes."""
import json
import math
import statistics

KINDS = ("kernel", "network", "training", "switch", "program", "peer")
# What every record has. A value of null says that the number could not be measured; `note` why.
MEMBERS = {"kind": str, "name": str, "precision": str, "threads": int, "batch": int,
           "value": (int, float, type(None)), "unit": str, "spread": (int, float),
           "peak_share": (int, float, type(None))}
OPTIONAL = {"gmacs": (int, float, type(None)), "times_u8s8": (int, float), "note": str}
OF_PEAK = "of peak"  # the unit of a share that stands in the place of a value
KEY = ("kind", "name", "precision", "threads", "batch")


class BadResults(Exception):
    """A file that is no bench.json, with the path and what is wrong."""


def key_of(record):
    return tuple(record[member] for member in KEY)


def smaller_is_better(record):
    """True of times and sizes, not of rates and shares."""
    return not record["unit"].endswith(("/s", OF_PEAK))


def value_of(record):
    return record["value"] if record else None


def parts_of_kernel(record):
    """Of "tile_planes/avx2/6x16x512": kernel, instruction set and shape."""
    return (record["name"].split("/", 2) + ["", ""])[:3]


def is_peak(record):
    """True of what the machine reaches itself, which kernels are held against."""
    return record["kind"] == "kernel" and record["name"].startswith("peak/")


def check(record, where):
    """Raises BadResults unless `record` is one."""
    if not isinstance(record, dict):
        raise BadResults(f"{where}: expected an object, found {json.dumps(record)[:60]}")
    for member, kind in MEMBERS.items():
        if member not in record:
            raise BadResults(f"{where}: no member '{member}'")
        value = record[member]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise BadResults(f"{where}: '{member}' is {json.dumps(value)[:60]}")
        if isinstance(value, float) and not math.isfinite(value):
            raise BadResults(f"{where}: '{member}' is not finite")
    for member, kind in OPTIONAL.items():
        if member in record and not isinstance(record[member], kind):
            raise BadResults(f"{where}: '{member}' is {json.dumps(record[member])[:60]}")
    unknown = set(record) - set(MEMBERS) - set(OPTIONAL)
    if unknown:
        raise BadResults(f"{where}: unknown member '{min(unknown)}'")
    if record["kind"] not in KINDS:
        raise BadResults(f"{where}: kind '{record['kind']}' is none of {', '.join(KINDS)}")
    if record["threads"] < 1 or record["batch"] < 1:
        raise BadResults(f"{where}: threads and batch must be at least 1")
    if record["value"] is not None and record["value"] <= 0:
        raise BadResults(f"{where}: the value {record['value']} is not positive")


def read_text(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise BadResults(f"{path}: {error}") from error


def read(path):
    """The records of a bench.json."""
    try:
        records = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise BadResults(f"{path}: not JSON: {error}") from error
    if not isinstance(records, list):
        raise BadResults(f"{path}: expected an array of records")
    seen = set()
    for number, record in enumerate(records, 1):
        where = f"{path}: record {number}"
        check(record, where)
        if key_of(record) in seen:
            raise BadResults(f"{where}: a second record of {' '.join(map(str, key_of(record)))}")
        seen.add(key_of(record))
    return records


def read_lines(path):
    """The records that a program wrote, one per line."""
    records = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise BadResults(f"{path}:{number}: not JSON: {error}") from error
        check(records[-1], f"{path}:{number}")
    return records


def joined(records):
    """One record per key, in order of first appearance.

    Of several passes the median counts, and the spread is at least the distance of their extremes.
    """
    groups = {}
    for record in records:
        groups.setdefault(key_of(record), []).append(record)
    result = []
    for group in groups.values():
        measured = [record for record in group if record["value"] is not None]
        if len(measured) < 2:
            result.append((measured or group)[0])
            continue
        values = [record["value"] for record in measured]
        middle = statistics.median(values)
        whole = dict(measured[0], value=middle, spread=max(
            (max(values) - min(values)) / middle, *(record["spread"] for record in measured)))
        for member in ("peak_share", "gmacs", "times_u8s8"):
            known = [r[member] for r in measured if r.get(member) is not None]
            if known:
                whole[member] = statistics.median(known)
        result.append(whole)
    return result


class Run:
    """The records of one run by key, and those of other libraries beside them."""

    def __init__(self, records):
        self.records = records
        self.by_key = {key_of(record): record for record in records}

    def find(self, kind, name, precision, threads, batch):
        """A record that was measured, or None."""
        record = self.by_key.get((kind, name, precision, threads, batch))
        return record if value_of(record) is not None else None

    def value(self, *key):
        return value_of(self.find(*key))

    def onnxruntime(self, network, threads, batch):
        """The faster of its two 8-bit forms."""
        forms = [self.find("peer", f"{network}/onnxruntime-{form}", "w8a8", threads, batch)
                 for form in ("qoperator", "qdq")]
        return min(filter(None, forms), key=value_of, default=None)

    def pytorch(self, step, precision, threads, batch):
        """The same step, "resnet20@32/joint", or its memory, "resnet20@32/joint/peak-memory"."""
        parts = step.split("/")
        return self.find("peer", "/".join([*parts[:2], "pytorch", *parts[2:]]), precision, threads,
                         batch)

    def peer_of(self, record):
        """Another library's record of what `record` is of, which its value is held against."""
        same = record["threads"], record["batch"]
        if record["kind"] == "network":
            return self.onnxruntime(record["name"], *same)
        if record["kind"] == "training":
            return self.pytorch(record["name"], "f32", *same)
        if record["kind"] == "kernel":
            kernel, _, shape = parts_of_kernel(record)
            return self.find("peer", f"{kernel}/{shape}/onednn", "w8a8", *same)
        return None
