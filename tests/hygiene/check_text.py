#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The written rules that a regular expression can hold: see CONTRIBUTING.md.

usage: check_text.py ROOT
"""
import pathlib
import re
import sys

import tree

LICENCE = "SPDX-License-Identifier: Apache-2.0"
CODE_LINES = 400
KERNEL_CODE_LINES = 600

# (what must not appear in the code of a header, in which headers it may, why)
FORBIDDEN_CODE = [
    (r"<iostream>|\bstd::(cout|cerr|clog)\b", r"$^", "headers do not print"),
    (r"\b(v|f|d|vf|vd)?printf\b|\bs(n|v|vn)?printf\b|\bputs\b|\bputchar\b", r"$^",
     "headers do not print"),
    (r"\b(fputs|fputc)\b", r"train/(progress|terminal)\.hpp", "only progress writes to a terminal"),
    (r"\b(abort|_Exit|quick_exit|terminate)\s*\(|\bstd::exit\b", r"$^",
     "a library does not end the program"),
    (r"\b(secure_)?getenv\b", r"kernels/dispatch\.hpp", "the environment is read in one place"),
    (r"^using\s+namespace\b", r"$^", "a header must not change name look-up of its users"),
    (r"(?<![a-z])(_mm\d*_\w+|__m(128|256|512)|avx|sse\d|neon|vnni|amx|vpopcnt)\w*",
     r"kernels/((real_)?isa/.*|(real_)?isa_list\.hpp|isa_names\.hpp|cpu_features\.hpp)",
     "only isa and real_isa, their lists, isa_names.hpp and cpu_features.hpp know instruction sets"),
]
# The words are split so that this file does not find itself.
FORBIDDEN_TEXT = [
    (r"\b(TO" r"DO|FIX" r"ME|HA" r"CK|XX" r"X)\b", "unfinished work belongs in the issue tracker"),
    (r"(?<![\w.])/(home|root|Users|work)" r"/", "a path of one machine"),
    (r"[ \t]+$", "blanks at the end of the line"),
    (r"\t", "a tab"),
]
BAD_FILE_NAME = re.compile(r"(^|[/_])(utils?|common|misc|helpers?|impl)([/_.]|$)")
COMMENTED_CODE = re.compile(
    r"^\s*//(?!/)\s*(return\b[^.]*;|#\s*(include|define|if)\b.*|[\w:<>*&.\[\]\->]+"
    r"(\s+[\w:<>*&.\[\]\->]+)*\s*(=[^=].*|\(.*\))\s*;|[^.`]*\)\s*\{|\}\s*(else.*)?)\s*$")


def lines_matching(pattern, text, flags=0):
    for number, line in enumerate(text.split("\n"), 1):
        match = re.search(pattern, line, flags)
        if match:
            yield number, match.group(0)


def header_problems(root, header):
    text = tree.header_text(root, header)
    code = tree.without_comments(text)
    where = f"include/bitdial/{header}"
    if header.endswith(".hpp") and not re.search(r"^#pragma once$", text, re.M):
        yield f"{where}:1: no #pragma once"
    if header.endswith(".ipp") and re.search(r"#\s*(pragma once|include\b)", code):
        yield f"{where}:1: a fragment is included many times and includes nothing"
    if not re.match(r"// [^\n]*\n//[^\n]*\w", text):
        yield f"{where}:2: the second line must start to say what the file is"
    limit = KERNEL_CODE_LINES if header.startswith("kernels/") else CODE_LINES
    count = sum(1 for line in code.split("\n") if line.strip())
    if count > limit:
        yield f"{where}:1: {count} code lines, the limit is {limit}"
    for pattern, owner, reason in FORBIDDEN_CODE:
        if not re.fullmatch(owner, header):
            for number, found in lines_matching(pattern, code, re.I):
                yield f"{where}:{number}: '{found}': {reason}"


def file_problems(root, name):
    text = (pathlib.Path(root) / name).read_text(encoding="utf-8")
    suffix = pathlib.Path(name).suffix
    if BAD_FILE_NAME.search(name):
        yield f"{name}: a file is named after its one idea"
    if suffix in (".hpp", ".ipp", ".cpp") and not text.startswith(f"// {LICENCE}\n"):
        yield f"{name}:1: the first line must be '// {LICENCE}'"
    if suffix in (".py", ".sh", ".cmake", ".txt") and LICENCE not in text[:120]:
        yield f"{name}:1: no '{LICENCE}'"
    if text and not text.endswith("\n"):
        yield f"{name}: no end of line at the end of the file"
    for pattern, reason in FORBIDDEN_TEXT:
        for number, found in lines_matching(pattern, text):
            yield f"{name}:{number}: '{found}': {reason}"
    if suffix in (".hpp", ".ipp", ".cpp"):
        for number, found in lines_matching(COMMENTED_CODE, text):
            yield f"{name}:{number}: commented-out code? '{found.strip()}'"
        for number, line in enumerate(text.split("\n"), 1):
            if len(line) > 100 and "http" not in line:
                yield f"{name}:{number}: {len(line)} columns, the limit is 100"


def main(root):
    problems, count = [], 0
    for header in tree.headers(root):
        problems += header_problems(root, header)
    for name in tree.text_files(root):
        problems += file_problems(root, name)
        count += 1
    tree.finish(problems, f"{count} files")


if __name__ == "__main__":
    main(sys.argv[1])
