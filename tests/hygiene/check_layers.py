#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Includes only point down, never in a circle, and outside headers stay in the files that own them.

usage: check_layers.py ROOT
"""
import re
import sys

import tree

RANK = {"version.hpp": -1, "core": 0, "fwd.hpp": 0.5, "io": 1, "kernels": 1, "quant": 2, "ops": 3, "autodiff": 4,
        "nn": 5, "switchable": 6, "models": 7, "train": 7, "data": 7, "search": 7, "deploy": 7, "interop": 8,
        "runtime.hpp": 9, "bitdial.hpp": 9}
# Layers that may include another one of the same height.
SIDEWAYS = {("train", "data"), ("search", "data"), ("search", "train"), ("search", "deploy")}
RUNTIME = {"version.hpp", "core", "io", "kernels", "quant", "ops", "deploy"}

# Headers that are neither bitdial's nor portable C++, and the files that may include them.
OUTSIDE = [
    (r"omp\.h", r"core/parallel\.hpp"),
    (r"sched\.h", r"core/team_barrier\.hpp"),
    (r"(imm|.mm)intrin\.h|arm_\w+\.h", r"kernels/(real_)?isa/.*"),
    (r"cpuid\.h|sys/auxv\.h|asm/hwcap\.h", r"kernels/cpu_features\.hpp"),
    (r"sys/mman\.h", r"(io|data)/.*|core/heap_blocks\.hpp"),
    (r"sys/(stat|types)\.h|fcntl\.h|unistd\.h|dirent\.h", r"(io|data)/.*"),
    (r"(unistd|sys/ioctl)\.h", r"train/terminal\.hpp"),
    (r"zlib\.h", r"data/gzip\.hpp"),
    (r"turbojpeg\.h", r"data/jpeg\.hpp"),
    (r"mpi\.h", r"train/distributed_mpi\.hpp"),
    (r"Eigen/.*", r"(ops/detail/eigen_gemm|interop/eigen)\.hpp"),
    (r"xsimd/.*", r"(ops/detail/elementwise_simd|interop/xsimd)\.hpp"),
]


def may_include(header, target):
    """Whether a file may include a file of another layer."""
    mine, other = tree.layer(header), tree.layer(target)
    if header == "runtime.hpp":
        return other in RUNTIME and target != "deploy/pack.hpp"
    if mine == "deploy" and other not in RUNTIME:
        return header == "deploy/pack.hpp" and other in ("nn", "switchable")
    if mine == "interop":
        return other in ("version.hpp", "core", "quant", "interop")
    if mine == other and mine not in ("runtime.hpp", "bitdial.hpp", "fwd.hpp"):
        return True
    return RANK[other] < RANK[mine] < 9 or (mine, other) in SIDEWAYS or (
        mine == "bitdial.hpp" and other not in ("interop", "bitdial.hpp"))


def outside_problem(header, name):
    if "/" not in name and "." not in name:
        return None  # the standard library
    for pattern, owner in OUTSIDE:
        if re.fullmatch(pattern, name) and re.fullmatch(owner, header):
            return None
    return f"<{name}> does not belong in {header}"


def cycles(graph):
    """Every include cycle once, as a list of files."""
    state, stack, found = {}, [], []

    def visit(node):
        state[node] = "open"
        stack.append(node)
        for inner in graph.get(node, ()):
            if state.get(inner) == "open":
                found.append(stack[stack.index(inner):] + [inner])
            elif inner not in state:
                visit(inner)
        stack.pop()
        state[node] = "done"

    for node in graph:
        if node not in state:
            visit(node)
    return found


def main(root):
    problems, graph = [], {}
    headers = tree.headers(root)
    for header in headers:
        if tree.layer(header) not in RANK:
            problems.append(f"{header}: '{tree.layer(header)}' is not a layer")
            continue
        graph[header] = []
        for line, name in tree.includes(tree.header_text(root, header)):
            where = f"include/bitdial/{header}:{line}"
            if not name.startswith("bitdial/"):
                problem = outside_problem(header, name)
                if problem:
                    problems.append(f"{where}: {problem}")
                continue
            target = name[len("bitdial/"):]
            if target not in headers:
                problems.append(f"{where}: <{name}> does not exist")
            elif not may_include(header, target):
                problems.append(f"{where}: '{tree.layer(header)}' must not include <{name}>")
            # A fragment is expanded inside the kernel that includes it, so it cannot form a cycle.
            elif target.endswith(".hpp"):
                graph[header].append(target)
    for cycle in cycles(graph):
        problems.append("include cycle: " + " -> ".join(cycle))
    tree.finish(problems, f"the includes of {len(headers)} headers")


if __name__ == "__main__":
    main(sys.argv[1])
