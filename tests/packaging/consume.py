#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds and runs a foreign project that gets bitdial by one recipe.

usage: consume.py ROOT COMPILER RECIPE
RECIPE: package (installed, then found), relocated (installed, moved, then found), subdirectory,
fetch_content (offline, from the sources), copied (the folder include/ and one compiler command).
Exit code 77: no such compiler.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]


def run(*command, cwd=None):
    words = [str(word) for word in command]
    done = subprocess.run(words, text=True, capture_output=True, cwd=cwd, check=False)
    if done.returncode != 0:
        sys.exit(f"exit code {done.returncode}: {' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


def install(root, compiler, work, prefix):
    run("cmake", "-S", root, "-B", work / "library", f"-DCMAKE_CXX_COMPILER={compiler}",
        f"-DCMAKE_INSTALL_PREFIX={prefix}", "-DBITDIAL_BUILD_TESTS=OFF",
        "-DBITDIAL_BUILD_EXAMPLES=OFF", "-DBITDIAL_BUILD_BENCH=OFF")
    run("cmake", "--install", work / "library")
    installed = {p.relative_to(prefix / "include").as_posix()
                 for p in (prefix / "include").rglob("*") if p.is_file()}
    written = {p.relative_to(root / "include").as_posix()
               for p in (root / "include").rglob("*.[hi]pp")}
    if installed != written:
        sys.exit(f"installed headers differ from the tree: {sorted(installed ^ written)}")
    for config in prefix.rglob("*.cmake"):
        text = config.read_text(encoding="utf-8")
        if str(root) in text or str(prefix) in text:
            sys.exit(f"{config.name} contains a path of this machine")


def build_consumer(root, compiler, work, *definitions):
    run("cmake", "-S", root / "tests" / "packaging" / "consumer", "-B", work / "consumer",
        "-DCMAKE_BUILD_TYPE=Debug", f"-DCMAKE_CXX_COMPILER={compiler}", *definitions)
    run("cmake", "--build", work / "consumer", "--parallel", 2)
    run(work / "consumer" / "train")
    run(work / "consumer" / "run")


def copied(root, compiler, work):
    shutil.copytree(root / "include", work / "third_party")
    shutil.copytree(root / "tests" / "packaging" / "consumer", work / "sources")
    flags = ["-std=c++20", "-I../third_party", *WARNINGS]
    run(compiler, *flags, "train.cpp", "second_unit.cpp", "-o", "train", cwd=work / "sources")
    run(compiler, *flags, "run.cpp", "-o", "run", cwd=work / "sources")
    run("./train", cwd=work / "sources")
    run("./run", cwd=work / "sources")


def main(root, compiler, recipe):
    if not shutil.which(compiler):
        print(f"skipped: no {compiler}")
        sys.exit(77)
    root = pathlib.Path(root).resolve()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder).resolve()
        prefix = work / "prefix"
        if recipe == "package":
            install(root, compiler, work, prefix)
            build_consumer(root, compiler, work, "-DRECIPE=package", f"-DCMAKE_PREFIX_PATH={prefix}")
        elif recipe == "relocated":
            install(root, compiler, work, prefix)
            prefix.rename(work / "elsewhere")
            build_consumer(root, compiler, work, "-DRECIPE=package",
                           f"-DCMAKE_PREFIX_PATH={work / 'elsewhere'}")
        elif recipe in ("subdirectory", "fetch_content"):
            build_consumer(root, compiler, work, f"-DRECIPE={recipe}", f"-DBITDIAL_SOURCE={root}",
                           "-DFETCHCONTENT_FULLY_DISCONNECTED=ON")
        elif recipe == "copied":
            copied(root, compiler, work)
        else:
            sys.exit(f"no recipe {recipe}")
    print(f"{recipe} with {compiler}: built and run")


if __name__ == "__main__":
    main(*sys.argv[1:])
