# SPDX-License-Identifier: Apache-2.0
"""The source tree as the checks see it: files, lines, code without comments, includes."""
import os
import pathlib
import re
import subprocess
import sys

SKIPPED_FOLDERS = re.compile(r"^(\..+|build.*|cmake-build.*|__pycache__)$")
TEXT_SUFFIXES = {".hpp", ".ipp", ".cpp", ".cmake", ".txt", ".in", ".md", ".py", ".sh", ".json", ""}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
TOKEN = re.compile(
    r'//(?:\\\n|[^\n])*|/\*.*?\*/|R"(?P<d>[^(\s]*)\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"|'
    r"(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.S)


def headers(root):
    """Every .hpp and .ipp as a path relative to include/bitdial."""
    base = pathlib.Path(root) / "include" / "bitdial"
    return sorted(p.relative_to(base).as_posix() for p in base.rglob("*.[hi]pp"))


def header_text(root, header):
    return (pathlib.Path(root) / "include" / "bitdial" / header).read_text(encoding="utf-8")


def layer(header):
    """The first folder, or the file itself for the umbrellas beside the folders."""
    return header.split("/")[0]


def text_files(root):
    """Every file that a person wrote, relative to the root."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if not SKIPPED_FOLDERS.match(f))
        for name in sorted(files):
            path = pathlib.Path(folder) / name
            if path.suffix in TEXT_SUFFIXES and name not in ("LICENSE", ".git"):
                yield path.relative_to(root).as_posix()


def without_comments(text):
    """The code with comments blanked; lines keep their numbers."""
    def blank(match):
        token = match.group(0)
        return re.sub(r"[^\n]", " ", token) if token.startswith(("//", "/*")) else token
    return TOKEN.sub(blank, text)


def includes(text):
    """(line number, name) of each include, commented-out ones left out."""
    text = without_comments(text)
    return [(text.count("\n", 0, m.start()) + 1, m.group(2)) for m in INCLUDE.finditer(text)]


def outside_includes(root, header, seen=None):
    """Headers of other libraries (<zlib.h>, <Eigen/...>) that `header` needs, at any depth."""
    seen = set() if seen is None else seen
    if header in seen:
        return set()
    seen.add(header)
    found = set()
    for _, name in includes(header_text(root, header)):
        if name.startswith("bitdial/"):
            inner = name[len("bitdial/"):]
            if (pathlib.Path(root) / "include" / name).is_file():
                found |= outside_includes(root, inner, seen)
        elif name in ("zlib.h", "turbojpeg.h", "mpi.h") or name.split("/")[0] in ("Eigen", "xsimd"):
            found.add(name)
    return found


def compiles(command, source):
    """Runs a compiler on text; returns what it said, or None when it accepted."""
    done = subprocess.run(command + ["-x", "c++", "-"], input=source, text=True,
                          capture_output=True, check=False)
    return None if done.returncode == 0 else done.stderr


def finish(problems, what):
    """Prints the problems and ends the process; a check never passes without having looked."""
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems in {what}")
    sys.exit(1 if problems else 0)
