# SPDX-License-Identifier: Apache-2.0
"""Reading, checking and joining the records of bench.json; docs/benchmarks.md describes them."""
import json
import math
import statistics

KINDS = ("kernel", "network", "training", "switch", "program", "peer")
# What every record has. A value of null says that the number could not be measured; `note` why.
MEMBERS = {"kind": str, "name": str, "precision": str, "threads": int, "batch": int,
           "value": (int, float, type(None)), "unit": str, "spread": (int, float),
           "peak_share": (int, float, type(None))}
OPTIONAL = {"gmacs": (int, float, type(None)), "times_u8s8": (int, float), "note": str}
KEY = ("kind", "name", "precision", "threads", "batch")


class BadResults(Exception):
    """A file that is no bench.json, with the path and what is wrong."""


def key_of(record):
    return tuple(record[member] for member in KEY)


def smaller_is_better(record):
    return not record["unit"].endswith("/s")


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
