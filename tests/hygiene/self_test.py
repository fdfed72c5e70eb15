#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The checks find what they are for: each violation planted in a small tree is reported.

usage: self_test.py
"""
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
HEAD = "// SPDX-License-Identifier: Apache-2.0\n// What this file is.\n#pragma once\n"
UMBRELLA = HEAD + "#include <bitdial/core/a.hpp>\n" \
    "#include <bitdial/kernels/kernel_table.hpp>\n" \
    "#include <bitdial/kernels/real_kernels.hpp>\n#include <bitdial/nn/b.hpp>\n" \
    "#include <bitdial/version.hpp>\n"
TABLES = HEAD + "struct KernelTable {\n  bool (*supported)() = nullptr;\n  TileKernel<A<B>> gemm;\n" \
    "};\n"
REAL_TABLES = HEAD + "struct RealKernels {\n  void (*tanh)(const C&) = nullptr;\n};\n"
KERNELS = "| member | text |\n| `gemm`, `tanh` | `gemm.ipp` |\n"
CLEAN = {
    "include/bitdial/version.hpp": HEAD,
    "include/bitdial/core/a.hpp": HEAD + "#include <string>\n#include <bitdial/version.hpp>\n",
    "include/bitdial/nn/b.hpp": HEAD + "#include <bitdial/core/a.hpp>\n",
    "include/bitdial/bitdial.hpp": UMBRELLA,
    "include/bitdial/runtime.hpp": HEAD + "#include <bitdial/core/a.hpp>\n",
    "include/bitdial/kernels/kernel_table.hpp": TABLES,
    "include/bitdial/kernels/real_kernels.hpp": REAL_TABLES,
    "include/bitdial/kernels/generic/gemm.ipp": "// SPDX-License-Identifier: Apache-2.0\n// What.\n",
    "docs/README.md": "[page](page.md) [kernels](writing-an-isa.md)\n",
    "docs/writing-an-isa.md": KERNELS,
    "docs/page.md": "text\n",
}
IN_CORE = "include/bitdial/core/a.hpp"
IN_NN = "include/bitdial/nn/b.hpp"
# (check, file, its text, a piece of the report)
PLANTED = [
    ("layers", IN_CORE, HEAD + "#include <bitdial/nn/b.hpp>\n", "'core' must not include"),
    ("layers", "include/bitdial/core/c.hpp", HEAD + "#include <bitdial/core/d.hpp>\n", "not exist"),
    ("layers", IN_CORE, HEAD + "#include <bitdial/core/a.hpp>\n", "include cycle"),
    ("layers", IN_NN, HEAD + "#include <zlib.h>\n", "<zlib.h> does not belong"),
    ("layers", IN_NN, HEAD + "#include <bitdial/bitdial.hpp>\n", "'nn' must not include"),
    ("layers", "include/bitdial/extra/c.hpp", HEAD, "'extra' is not a layer"),
    ("layers", "include/bitdial/deploy/c.hpp", HEAD + "#include <bitdial/nn/b.hpp>\n",
     "'deploy' must not include"),
    ("layers", "include/bitdial/data/c.hpp", HEAD + "#include <bitdial/train/d.hpp>\n", "not exist"),
    ("text", IN_CORE, HEAD + "inline void f() { std::printf(\"x\"); }\n", "headers do not print"),
    ("text", IN_CORE, HEAD + "#include <iostream>\n", "headers do not print"),
    ("text", IN_CORE, HEAD + "inline void f() { std::abort(); }\n", "does not end the program"),
    ("text", IN_CORE, HEAD + "inline auto f() { return std::getenv(\"X\"); }\n", "environment"),
    ("text", IN_CORE, HEAD + "inline int use_avx2() { return 1; }\n", "instruction sets"),
    ("text", IN_CORE, HEAD + "int x;\n" * 401, "404 code lines"[4:]),
    ("text", IN_CORE, "#pragma once\n", "the first line must be"),
    ("text", IN_CORE, HEAD.replace("#pragma once\n", ""), "no #pragma once"),
    ("text", IN_CORE, HEAD + "// x = compute(y);\n", "commented-out code"),
    ("text", IN_CORE, HEAD + "// TO" "DO later\n", "issue tracker"),
    ("text", IN_CORE, HEAD + "// see /ho" "me/me/x\n", "a path of one machine"),
    ("text", "include/bitdial/core/utils.hpp", HEAD, "named after its one idea"),
    ("text", "docs/page.md", "blank \n", "blanks at the end"),
    ("umbrella", "include/bitdial/nn/c.hpp", HEAD, "bitdial.hpp lacks nn/c.hpp"),
    ("umbrella", IN_NN, HEAD + "#include <zlib.h>\n", "which needs ['zlib.h']"),
    ("umbrella", "include/bitdial/bitdial.hpp", UMBRELLA + "inline int x;\n", "must only include"),
    ("links", "docs/page.md", "[gone](gone.md)\n", "leads nowhere"),
    ("links", "docs/other.md", "text\n", "does not list other.md"),
    ("kernels", "docs/writing-an-isa.md", KERNELS.replace(", `tanh`", ""), "no row for tanh"),
    ("kernels", "docs/writing-an-isa.md", KERNELS.replace("tanh", "cosh"), "cosh, which is no"),
    ("kernels", "docs/writing-an-isa.md", KERNELS.replace("gemm.ipp", "a.ipp"), "name gemm.ipp"),
]


def report(check, files):
    with tempfile.TemporaryDirectory() as root:
        for name, text in files.items():
            path = pathlib.Path(root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        done = subprocess.run([sys.executable, str(HERE / f"check_{check}.py"), root], text=True,
                              capture_output=True, check=False)
        return done.returncode, done.stdout + done.stderr


def main():
    failures = []
    for check in ("layers", "text", "umbrella", "links", "kernels"):
        code, said = report(check, CLEAN)
        if code != 0:
            failures.append(f"check_{check}.py refuses the clean tree:\n{said}")
    for check, name, text, expected in PLANTED:
        code, said = report(check, {**CLEAN, name: text})
        if code != 1 or expected not in said:
            failures.append(f"check_{check}.py misses '{expected}' in {name}; it said:\n{said}")
    print("\n".join(failures))
    print(f"{len(PLANTED)} planted violations, {len(failures)} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
