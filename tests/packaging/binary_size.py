#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A program that loads a model file and classifies an image stays small: -O2, every instruction
set, dynamically linked, stripped.

usage: binary_size.py ROOT COMPILER MODEL
MODEL is a small packed network. Exit code 77: no such compiler.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

MOST_BYTES = 400_000


def main(root, compiler, model):
    if not shutil.which(compiler):
        print(f"skipped: no {compiler}")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        program = pathlib.Path(folder) / "classify_image"
        image = pathlib.Path(folder) / "image.raw"
        subprocess.run([compiler, "-std=c++20", "-O2", "-DNDEBUG", "-s", f"-I{root}/include",
                        f"{root}/bench/classify_image.cpp", "-o", program], check=True)
        size = program.stat().st_size
        print(f"{size:,} bytes with {compiler}, at most {MOST_BYTES:,}")
        # It works: the sentence names the size of an image, and an image of that size has a class.
        image.write_bytes(b"x")
        refused = subprocess.run([program, model, image], text=True, capture_output=True,
                                 check=False)
        pixels = refused.stderr.split("one image has ")[-1].split(",")[0]
        if refused.returncode != 1 or not pixels.isdigit():
            sys.exit(f"an image of one byte: exit code {refused.returncode}, {refused.stderr}")
        image.write_bytes(bytes(int(pixels)))
        answer = subprocess.run([program, model, image], text=True, capture_output=True, check=True)
        if not answer.stdout.strip().isdigit():
            sys.exit(f"expected a class, found {answer.stdout!r}")
        if size > MOST_BYTES:
            sys.exit(f"{size:,} bytes, at most {MOST_BYTES:,}")


if __name__ == "__main__":
    main(*sys.argv[1:])
