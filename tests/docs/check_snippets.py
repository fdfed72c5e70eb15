#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The C++ in a document compiles, and runs if it is a program.

Checked is every ```cpp block that starts with #include. Blocks of one document run in order in
one folder, so a later one may read what an earlier one wrote.

usage: check_snippets.py ROOT COMPILER DOCUMENT [FLAG...]
"""
import pathlib
import re
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"^```cpp\n(#include.*?)^```$", re.S | re.M)
RUN_SECONDS = 240


def main(root, compiler, document, *flags):
    text = (pathlib.Path(root) / document).read_text(encoding="utf-8")
    problems, count = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for match in BLOCK.finditer(text):
            count += 1
            line = text.count("\n", 0, match.start()) + 2
            code = f'#line {line} "{document}"\n{match.group(1)}'
            is_program = re.search(r"\bint main\(", code)
            command = [compiler, "-std=c++20", "-O1", "-DNDEBUG", "-Wall", "-Wextra", "-Werror",
                       f"-I{root}/include", "-x", "c++", "-"]
            command += ["-o", "program"] if is_program else ["-fsyntax-only"]
            linked = [*flags, "-x", "none"] + (["-lz"] if "gzip.hpp>" in code else [])
            done = subprocess.run(command + linked, input=code, text=True, cwd=folder,
                                  capture_output=True, check=False)
            if done.returncode == 0 and is_program:
                done = subprocess.run(["./program"], text=True, cwd=folder, capture_output=True,
                                      timeout=RUN_SECONDS, check=False)
            if done.returncode != 0:
                problems.append(f"{document}:{line}: exit code {done.returncode}\n{done.stdout}"
                                f"{done.stderr}")
    print("\n".join(problems))
    print(f"{count} blocks of {document}, {len(problems)} problems")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
