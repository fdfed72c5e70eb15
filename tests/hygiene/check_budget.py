#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The price of including a header, in preprocessed lines.

Counted are the non-blank lines of `COMPILER -std=c++20 -DNDEBUG -E -P`: no comments, no line
markers, no OpenMP; the same number on every run, and compile time follows it closely. For scale:
<string> is 19,000 lines, <algorithm> 21,000, the intrinsics of x86 40,000 (GCC 12).

usage: check_budget.py ROOT COMPILER
"""
import concurrent.futures
import os
import subprocess
import sys

import tree

# The first entry that a header starts with is its budget.
BUDGET = [
    ("core/", 25_000),
    ("quant/", 45_000),
    ("kernels/", 90_000),
    ("runtime.hpp", 112_000),
    ("", 140_000),
]


def main(root, compiler):
    def count(header):
        command = [compiler, "-std=c++20", "-DNDEBUG", "-E", "-P", f"-I{root}/include",
                   "-x", "c++", "-"]
        done = subprocess.run(command, input=f"#include <bitdial/{header}>\n", text=True,
                              capture_output=True, check=False)
        if done.returncode != 0:
            return None
        return sum(1 for line in done.stdout.split("\n") if line.strip())

    problems = []
    chosen = [h for h in tree.headers(root)
              if h.endswith(".hpp") and not tree.outside_includes(root, h)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for header, lines in zip(chosen, pool.map(count, chosen)):
            if lines is None:
                problems.append(f"{header}: the preprocessor fails")
                continue
            budget = next(limit for start, limit in BUDGET if header.startswith(start))
            print(f"{lines:7,} of {budget:7,}  {header}")
            if lines > budget:
                problems.append(f"{header}: {lines:,} preprocessed lines, the budget is {budget:,}")
    tree.finish(problems, f"the budget of {len(chosen)} headers")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
