#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Translation units in modes that change bitdial's inline functions do not link with each other.

usage: abi_mix.py COMPILER ROOT
"""
import pathlib
import re
import subprocess
import sys
import tempfile

USER = """#include <bitdial/core/shape.hpp>
long extent(const bitdial::Shape& shape);
int main() { return extent(bitdial::Shape{3}) == 3 ? 0 : 1; }
"""
OWNER = """#include <bitdial/core/shape.hpp>
long extent(const bitdial::Shape& shape);
long extent(const bitdial::Shape& shape) { return shape[0]; }
"""
OTHER_VERSION = "other_version"  # a folder of headers of the next minor version
MODES = [
    ("version", [], [f"-I{OTHER_VERSION}"]),
    ("threads", [], ["-fopenmp"]),
    ("checks", ["-DNDEBUG"], []),
    ("forced checks", ["-DNDEBUG"], ["-DNDEBUG", "-DBITDIAL_CHECKED=1"]),
    ("exceptions", [], ["-fno-exceptions"]),
]


def supports(compiler, flags):
    """Whether the compiler has its OpenMP runtime."""
    done = subprocess.run([compiler, *flags, "-x", "c++", "-", "-o", "/dev/null"], text=True,
                          input="#include <cstddef>\nint main() {}\n", capture_output=True,
                          check=False)
    return done.returncode == 0


def link(compiler, include, folder, user_flags, owner_flags):
    """The linker's words, or None when it linked and ran."""
    objects = []
    for name, text, flags in (("user", USER, user_flags), ("owner", OWNER, owner_flags)):
        target = folder / f"{name}.o"
        subprocess.run([compiler, "-std=c++20", "-c", *flags, f"-I{include}", "-x", "c++", "-",
                        "-o", str(target)], input=text, text=True, check=True, cwd=folder)
        objects.append(str(target))
    openmp = ["-fopenmp"] if "-fopenmp" in user_flags + owner_flags else []
    done = subprocess.run([compiler, *openmp, *objects, "-o", str(folder / "program")], text=True,
                          capture_output=True, check=False)
    if done.returncode != 0:
        return done.stderr
    subprocess.run([str(folder / "program")], check=True)
    return None


def write_other_version(include, folder):
    """version.hpp of the next minor version, to be found before this one."""
    header = pathlib.Path("bitdial") / "version.hpp"
    text = (include / header).read_text(encoding="utf-8")
    raised = re.sub(r"(?m)^(#define BITDIAL_VERSION_MINOR )(\d+)$",
                    lambda found: found[1] + str(int(found[2]) + 1), text)
    assert raised != text, "version.hpp has no minor version"
    (folder / header).parent.mkdir(parents=True)
    (folder / header).write_text(raised, encoding="utf-8")


def main(compiler, root):
    include = pathlib.Path(root).resolve() / "include"
    failures = []
    with tempfile.TemporaryDirectory() as work:
        folder = pathlib.Path(work)
        write_other_version(include, folder / OTHER_VERSION)
        for name, one, other in MODES:
            if not supports(compiler, one) or not supports(compiler, other):
                print(f"{name}: left out, {compiler} does not support {one + other}")
                continue
            for flags in (one, other):
                said = link(compiler, include, folder, flags, flags)
                if said:
                    failures.append(f"{name}: equal modes {flags} must link, but:\n{said}")
            for first, second in ((one, other), (other, one)):
                said = link(compiler, include, folder, first, second)
                if said is None or "undefined reference" not in said:
                    failures.append(f"{name}: {first} and {second} must not link; it said: {said}")
    print("\n".join(failures))
    print(f"{len(MODES)} modes, {len(failures)} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
