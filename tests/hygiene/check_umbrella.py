#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bitdial.hpp includes every public header that needs no other library, and defines nothing.

Public is what is not in a folder named detail, not one instruction set, not an adapter, and not the
header that one unit of a program includes on its own.

usage: check_umbrella.py ROOT
"""
import re
import sys

import tree


def is_public(header):
    return (header.endswith(".hpp") and "/" in header and "/detail/" not in header
            and not header.startswith(("interop/", "kernels/isa/", "kernels/real_isa/",
                                           "kernels/emit_kernels")))


def main(root):
    problems = []
    listed = [name[len("bitdial/"):]
              for _, name in tree.includes(tree.header_text(root, "bitdial.hpp"))]
    public = [h for h in tree.headers(root) if is_public(h) or h in ("fwd.hpp", "version.hpp")]
    for header in public:
        outside = tree.outside_includes(root, header)
        if outside and header in listed:
            problems.append(f"bitdial.hpp includes {header}, which needs {sorted(outside)}")
        if not outside and header not in listed:
            problems.append(f"bitdial.hpp lacks {header}")
    if listed != sorted(listed):
        problems.append("bitdial.hpp: the includes are not sorted")
    for umbrella in ("bitdial.hpp", "runtime.hpp"):
        code = tree.without_comments(tree.header_text(root, umbrella))
        rest = [line for line in code.split("\n")
                if line.strip() and not re.match(r"#\s*(include|pragma once)", line)]
        problems += [f"{umbrella} must only include, found: {line.strip()}" for line in rest]
    tree.finish(problems, f"umbrellas over {len(public)} public headers")


if __name__ == "__main__":
    main(sys.argv[1])
