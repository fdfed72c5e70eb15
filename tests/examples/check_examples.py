#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The stand-alone examples build with find_package alone, and do what they say.

usage: check_examples.py ROOT COMPILER MODEL
MODEL is a small packed network. Exit code 77: no such compiler.
"""
import ctypes
import importlib.util
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


def build(root, compiler, prefix, work, name, *definitions):
    folder = work / name
    run("cmake", "-S", root / "examples" / name, "-B", folder, f"-DCMAKE_PREFIX_PATH={prefix}",
        f"-DCMAKE_CXX_COMPILER={compiler}", f"-DCMAKE_CXX_FLAGS={WARNINGS}",
        f"-DCMAKE_C_FLAGS={WARNINGS}", "-DCMAKE_BUILD_TYPE=Release",
        *definitions)
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
    image.write_bytes(bytes(10000))
    expect("a long image", call(folder / "classify", model, image).stderr,
           r"short\.raw: more than \d+ bytes")
    check_python(python, library, model)


def check_options(module, c, model):
    """Structures of other versions of the header, and counts beyond any memory."""
    class Newer(module.SessionOptions):
        _fields_ = [("new_member", ctypes.c_size_t)]

    size = ctypes.c_size_t()

    def memory(options):
        if c.session_memory(model._model, ctypes.byref(options), ctypes.byref(size)) != 0:
            return c.last_error().decode()
        return size.value

    known = ctypes.sizeof(module.SessionOptions)
    if memory(Newer()) != model.memory or memory(Newer(max_batch=9)) <= model.memory:
        sys.exit("a newer structure without new members is another one")
    expect("a new member", memory(Newer(new_member=1)), rf"byte {known} of {known + 8} is set")
    for wrong in (0, 8, known - 1):
        expect("a wrong size", memory(module.SessionOptions(struct_size=wrong)),
               rf"struct_size is {wrong}, expected sizeof")
    for count in (2**63, 2**64 - 1):
        if c.session_run(model._session, 0, b"", count, None) == 0:
            sys.exit(f"{count} images run")
        expect("a huge count", c.last_error().decode(), f"session: {count} images, more than")
        if c.session_classify(model._session, 0, b"", count, None) == 0:
            sys.exit(f"{count} images are classified")


def check_python(script, library, model):
    """The interface beyond what the script prints: a model in memory, and reasons of failures."""
    specification = importlib.util.spec_from_file_location("classify", script)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    c = module.Library(str(library))
    with module.Model(c, model) as mapped, module.Model(c, model.read_bytes()) as in_memory:
        if mapped.plans != in_memory.plans or mapped.memory != in_memory.memory:
            sys.exit("a model in memory differs from the file")
        height, width, channels = mapped.shape
        image = bytes(i % 251 for i in range(height * width * channels))
        for plan in mapped.plans:
            if mapped.run(image, plan) != in_memory.run(image, plan):
                sys.exit(f"{plan}: a model in memory gives other answers")
        try:
            mapped.run(image, "w7a7")
            sys.exit("a plan that does not exist runs")
        except RuntimeError as error:
            expect("an unknown plan", str(error), r"plan .w7a7. is not in this model; it has 'w\d")
        check_options(module, c, mapped)
        measured = mapped.accuracy(0)
        if measured is not None and not (0 <= measured[0] <= 1 and measured[1] > 0):
            sys.exit(f"a measured accuracy makes no sense: {measured}")
    try:
        module.Model(c, model.read_bytes()[:-1])
        sys.exit("a truncated model opens")
    except RuntimeError as error:
        expect("a truncated model", str(error), "truncated: ")


def check_embed(root, compiler, prefix, work, model):
    """The same answers from .incbin and from an array, and from C; no model file is opened."""
    answers = []
    for as_array in ("OFF", "ON"):
        folder = build(root, compiler, prefix, work, "embed", f"-DMODEL={model}",
                       f"-DAS_ARRAY={as_array}")
        refused = call(folder / "embed")
        expect("embed without images", refused.stderr, r"expected images of \d+ bytes")
        size = int(re.search(r"images of (\d+) bytes", refused.stderr)[1])
        image = work / "images.raw"
        image.write_bytes(bytes(i % 251 for i in range(2 * size)))
        with open(image, "rb") as images:
            done = subprocess.run([folder / "embed"], stdin=images, capture_output=True, text=True,
                                  check=True)
        expect("embed", done.stdout, rf"{model.stat().st_size} bytes of model", r"image 1:  w\d")
        answers.append(done.stdout)
    if answers[0] != answers[1]:
        sys.exit(f".incbin and the array disagree:\n{answers[0]}\n{answers[1]}")
    refused = call("cmake", "-S", root / "examples" / "embed", "-B", work / "embed-none",
                   f"-DCMAKE_PREFIX_PATH={prefix}", f"-DCMAKE_CXX_COMPILER={compiler}")
    expect("embed without a model", refused.stderr, "name a packed network with -DMODEL=FILE")


def check_firmware(root, compiler, prefix, work, model):
    folder = build(root, compiler, prefix, work, "firmware", f"-DMODEL={model}")
    expect("firmware", run(folder / "firmware"), r"model \d+ bytes, arena \d+ of 1048576, heap \d+",
           r"(?m)^frame 7, plan \d: \d")
    symbols = run("nm", "-C", folder / "firmware")
    expect("firmware's symbols", symbols, r"(?m) [rR] model_begin$")  # read-only memory
    if re.search(r"__cxa_throw|typeinfo for bitdial", symbols):
        sys.exit("firmware: exceptions or run-time types are in the program")
    build(root, compiler, prefix, work, "firmware", "-DARENA_BYTES=64")
    refused = call(folder / "firmware")
    expect("firmware in a small arena", refused.stderr, r"the arena has 64 bytes")
    if refused.returncode != 1:
        sys.exit(f"firmware in a small arena: exit code {refused.returncode}")


def check_batch_server(folder, model):
    expect("batch_server", run(folder / "batch_server", model, 64), r"(?m)^w\d.* 0$",
           r"answers in \d+ batches")
    expect("batch_server with a profile", run(folder / "batch_server", model, 8, "profile"),
           r"(?m)^plan w\d", r"(?m)^step +kind +widths +path +ms ", r"(?m)^total ")
    expect("batch_server", call(folder / "batch_server", model, "many").stderr,
           'REQUESTS is "many", expected a number')
    expect("batch_server", call(folder / "batch_server", model.parent).stderr, "is a directory")


def check_governed_stream(folder, model, odd):
    program = folder / "governed_stream"
    refused = call(program, odd, folder)
    expect("governed_stream without images", refused.stderr, "t10k-images")
    expect("governed_stream for no time", call(program, model, folder, "soon").stderr,
           'SECONDS is "soon", expected a number')
    expect("governed_stream without a model", call(program, folder).stderr, "is a directory")
    shown = run(program, odd, "", 2, cwd=folder)
    expect("governed_stream", shown, r"frames: synthetic", r"load yes +queue",
           r"(?m)^governed +\d", r"(?m)^fixed w\d", r"decisions, 0 differ on replay")
    refused = call(program, model, "", 1, cwd=folder)
    expect("governed_stream with another input", refused.stderr,
           r"expected size 12 \.\. 256|takes images")


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
        odd = model.parent / "odd-network.bitdial"
        check_governed_stream(build(root, compiler, prefix, work, "governed_stream"), model, odd)
        check_embed(root, compiler, prefix, work, odd)
        check_firmware(root, compiler, prefix, work, odd)


if __name__ == "__main__":
    main(*sys.argv[1:])
