#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Relative links of the documents lead to files that exist, and docs/README.md lists every page.

usage: check_links.py ROOT
"""
import pathlib
import re
import sys

import tree

LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


def main(root):
    problems, count = [], 0
    documents = [name for name in tree.text_files(root) if name.endswith(".md")]
    for name in documents:
        text = (pathlib.Path(root) / name).read_text(encoding="utf-8")
        text = re.sub(r"^```.*?^```", "", text, flags=re.S | re.M)
        for match in LINK.finditer(text):
            target = (match.group(1) or match.group(2)).split("#")[0]
            count += 1
            if target and not re.match(r"\w+:", target):
                if not ((pathlib.Path(root) / name).parent / target).exists():
                    problems.append(f"{name}: the link {target} leads nowhere")
    index = (pathlib.Path(root) / "docs" / "README.md").read_text(encoding="utf-8")
    for name in documents:
        page = name[len("docs/"):]
        if re.fullmatch(r"docs/[^/]+\.md", name) and page != "README.md" and f"({page})" not in index:
            problems.append(f"docs/README.md does not list {page}")
    tree.finish(problems, f"{count} links of {len(documents)} documents")


if __name__ == "__main__":
    main(sys.argv[1])
