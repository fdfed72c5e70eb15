#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each header compiles alone, twice in a row, without a warning.

usage: check_headers.py ROOT COMPILER [--only HEADER] [--flags FLAG...]
A header that needs a library which is not installed is named and left out. Exit code 77: no
such compiler.
"""
import argparse
import concurrent.futures
import os
import shutil
import sys

import tree

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("root")
    parser.add_argument("compiler")
    parser.add_argument("--only")
    parser.add_argument("--flags", nargs=argparse.REMAINDER, default=[])
    options = parser.parse_args()
    if not shutil.which(options.compiler):
        print(f"skipped: no {options.compiler}")
        sys.exit(77)
    command = [options.compiler, "-std=c++20", "-fsyntax-only", f"-I{options.root}/include"]
    command += WARNINGS + options.flags

    missing = {name for header in tree.headers(options.root)
               for name in tree.outside_includes(options.root, header)
               if tree.compiles(command, f"#include <{name}>\n")}

    def check(header):
        lacks = tree.outside_includes(options.root, header) & missing
        if lacks:
            print(f"left out: {header} needs {sorted(lacks)}")
            return None
        line = f"#include <bitdial/{header}>\n"
        said = tree.compiles(command, line + line)
        return said and f"{header} does not compile alone:\n{said}"

    chosen = [h for h in tree.headers(options.root)
              if h.endswith(".hpp") and options.only in (None, h)]
    if not chosen:
        sys.exit(f"no header {options.only}")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = [said for said in pool.map(check, chosen) if said]
    tree.finish(problems, f"{len(chosen)} headers, each alone, {options.compiler}")


if __name__ == "__main__":
    main()
