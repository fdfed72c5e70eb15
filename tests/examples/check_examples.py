#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The stand-alone examples build with find_package alone, and do what they say.

usage: check_examples.py ROOT COMPILER MODEL
MODEL is a small packed network. Exit code 77: no such compiler.
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

WARNINGS = "-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror"


def call(*command, cwd=None):
    return subprocess.run([str(word) for word in command], text=True, capture_output=True, cwd=cwd,
                          check=False)


def run(*command, cwd=None):
    done = call(*command, cwd=cwd)
    if done.returncode != 0:
        sys.exit(f"exit code {done.returncode}: {' '.join(str(word) for word in command)}\n"
                 f"{done.stdout}{done.stderr}")
    return done.stdout


def expect(what, text, *patterns):
    for pattern in patterns:
        if not re.search(pattern, text):
            sys.exit(f"{what}: expected {pattern!r} in\n{text}")


def build(root, compiler, prefix, work, name):
    folder = work / name
    run("cmake", "-S", root / "examples" / name, "-B", folder, f"-DCMAKE_PREFIX_PATH={prefix}",
        f"-DCMAKE_CXX_COMPILER={compiler}", f"-DCMAKE_CXX_FLAGS={WARNINGS}",
        f"-DCMAKE_C_FLAGS={WARNINGS}", "-DCMAKE_BUILD_TYPE=Release")
    run("cmake", "--build", folder, "--parallel", 2)
    return folder


def check_c_api(root, folder, model):
    table = run(folder / "classify", model)
    expect("classify", table, r"plan +accuracy +answer", r"(?m)^w\d", r"%|-")
    python = root / "examples" / "c_api" / "classify.py"
    library = folder / "libbitdial_c.so"
    same = run(sys.executable, "-B", python, library, model)
    if same != table:
        sys.exit(f"C and Python disagree:\n{table}\n{same}")
    exported = run("nm", "-D", "--defined-only", library)
    foreign = [line for line in exported.splitlines()
               if not re.search(r" bitdial_\w+$| [VvuWw] | \.gomp_critical_", line)]
    if foreign:
        sys.exit("the library exports more than its interface:\n" + "\n".join(foreign))
    for command in ([folder / "classify"], [sys.executable, "-B", python, library]):
        refused = call(*command, root / "README.md")
        expect("a file that is no model", refused.stderr, "is not a bitdial model file")
        if refused.returncode != 1:
            sys.exit(f"a file that is no model: exit code {refused.returncode}")
    image = folder / "short.raw"
    image.write_bytes(b"x")
    expect("a short image", call(folder / "classify", model, image).stderr,
           r"short\.raw: 1 bytes, one image has \d+")
    expect("a short image", call(sys.executable, "-B", python, library, model, image).stderr,
           r"1 bytes, one image has \d+")


def check_batch_server(folder, model):
    expect("batch_server", run(folder / "batch_server", model, 64), r"(?m)^w\d.* 0$",
           r"answers in \d+ batches")
    expect("batch_server with a profile", run(folder / "batch_server", model, 8, "profile"),
           r"(?m)^plan w\d", r"(?m)^step +kind +widths +path +ms ", r"(?m)^total ")
    expect("batch_server", call(folder / "batch_server", model.parent).stderr, "is a directory")


def check_governed_stream(folder, model):
    refused = call(folder / "governed_stream", model, folder)
    expect("governed_stream without images", refused.stderr, "t10k-images")


def main(root, compiler, model):
    if not shutil.which(compiler):
        print(f"skipped: no {compiler}")
        sys.exit(77)
    root, model = pathlib.Path(root).resolve(), pathlib.Path(model).resolve()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder).resolve()
        prefix = work / "prefix"
        run("cmake", "-S", root, "-B", work / "library", f"-DCMAKE_CXX_COMPILER={compiler}",
            f"-DCMAKE_INSTALL_PREFIX={prefix}", "-DBITDIAL_BUILD_TESTS=OFF",
            "-DBITDIAL_BUILD_EXAMPLES=OFF", "-DBITDIAL_BUILD_BENCH=OFF")
        run("cmake", "--install", work / "library")
        check_c_api(root, build(root, compiler, prefix, work, "c_api"), model)
        check_batch_server(build(root, compiler, prefix, work, "batch_server"), model)
        check_governed_stream(build(root, compiler, prefix, work, "governed_stream"), model)


if __name__ == "__main__":
    main(*sys.argv[1:])
