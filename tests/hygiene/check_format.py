#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every C++ file is as clang-format writes it.

Versions of clang-format disagree in details, so only the one below decides; exit code 77 without.

usage: check_format.py ROOT
"""
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

import tree

VERSION = "14"


def find_clang_format():
    for name in (f"clang-format-{VERSION}", "clang-format"):
        if shutil.which(name):
            said = subprocess.run([name, "--version"], text=True, capture_output=True, check=True)
            if re.search(rf"version {VERSION}\.", said.stdout):
                return name
    print(f"skipped: no clang-format {VERSION}")
    sys.exit(77)


def main(root):
    formatter = find_clang_format()

    def check(name):
        path = pathlib.Path(root) / name
        done = subprocess.run([formatter, "--style=file", str(path)], text=True,
                              capture_output=True, check=True)
        before, after = path.read_text(encoding="utf-8").split("\n"), done.stdout.split("\n")
        for number, (is_now, wanted) in enumerate(zip(before, after), 1):
            if is_now != wanted:
                return f"{name}:{number}: run clang-format -i\n  is     {is_now}\n  wanted {wanted}"
        return None if len(before) == len(after) else f"{name}: run clang-format -i"

    files = [n for n in tree.text_files(root) if n.endswith((".hpp", ".ipp", ".cpp"))]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = [said for said in pool.map(check, files) if said]
    tree.finish(problems, f"the format of {len(files)} files")


if __name__ == "__main__":
    main(sys.argv[1])
