# SPDX-License-Identifier: Apache-2.0
"""Made-up records, and running the scripts of bench/."""
import json
import pathlib
import subprocess
import sys


def record(kind="network", name="resnet20@32", precision="w8a8", threads=1, batch=1, value=1.0,
           unit="ms/image", spread=0.01, peak_share=0.5, **more):
    return {"kind": kind, "name": name, "precision": precision, "threads": threads, "batch": batch,
            "value": value, "unit": unit, "spread": spread, "peak_share": peak_share, **more}


def write(folder, name, content):
    path = pathlib.Path(folder) / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def run(root, script, *arguments):
    """(exit code, standard output, standard error)"""
    done = subprocess.run([sys.executable, "-B", str(pathlib.Path(root) / "bench" / script),
                           *arguments], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def expect(condition, words, *shown):
    if not condition:
        sys.exit("\n".join([f"FAILED: {words}", *map(str, shown)]))
