#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The table of docs/writing-an-isa.md has a row for every kernel and names every text of one.

usage: check_kernels.py ROOT
"""
import pathlib
import re
import sys

import tree

PAGE = "docs/writing-an-isa.md"
MEMBER = re.compile(r"\bTileKernel<.+> (\w+);|\(\*(\w+)\)\(")


def kernels(root):
    """The members of both tables that compute something."""
    found = set()
    for header, table in (("kernel_table.hpp", "KernelTable"), ("real_kernels.hpp", "RealKernels")):
        text = tree.without_comments(tree.header_text(root, f"kernels/{header}"))
        body = re.search(rf"^struct {table} {{$(.*?)^}};$", text, re.M | re.S).group(1)
        found |= {a or b for a, b in MEMBER.findall(body)}
    return found - {"supported"}


def main(root):
    page = (pathlib.Path(root) / PAGE).read_text(encoding="utf-8")
    rows = {name for cell in re.findall(r"^\| (`.*?) \|", page, re.M)
            for name in re.findall(r"`(\w+)`", cell)}
    members = kernels(root)
    problems = [f"{PAGE} has no row for {name}" for name in sorted(members - rows)]
    problems += [f"{PAGE} has a row for {name}, which is no kernel"
                 for name in sorted(rows - members)]
    texts = [pathlib.Path(header).name for header in tree.headers(root)
             if header.startswith("kernels/generic/") and not header.endswith("reference.ipp")]
    problems += [f"{PAGE} does not name {text}" for text in texts if f"`{text}`" not in page]
    tree.finish(problems, f"{len(members)} kernels and {len(texts)} texts")


if __name__ == "__main__":
    main(sys.argv[1])
