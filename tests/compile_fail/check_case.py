#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A case compiles with -DGOOD, and without it, under the options of its `flags:` line where it has
one, fails with the sentence of its `expect:` line.

usage: check_case.py ROOT COMPILER CASE
"""
import re
import subprocess
import sys


def compile_case(root, compiler, case, *definitions):
    command = [compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
               f"-I{root}/include", *definitions, case]
    done = subprocess.run(command, text=True, capture_output=True, check=False)
    return done.returncode, done.stderr


def main(root, compiler, case):
    with open(case, encoding="utf-8") as source:
        text = source.read()
    expected = re.search(r"^// expect: (.+)$", text, re.M).group(1)
    flags = re.findall(r"^// flags: (.+)$", text, re.M)
    code, said = compile_case(root, compiler, case, "-DGOOD")
    if code != 0:
        sys.exit(f"the good variant must compile, but:\n{said}")
    code, said = compile_case(root, compiler, case, *flags)
    if code == 0:
        sys.exit("the bad variant must not compile, but it does")
    if not re.search(expected, said):
        sys.exit(f"the bad variant must say '{expected}', but it says:\n{said}")
    print(f"refused as it should be: {expected}")


if __name__ == "__main__":
    main(*sys.argv[1:])
