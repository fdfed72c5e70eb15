// SPDX-License-Identifier: Apache-2.0
// The model file as a constant in read-only memory.
__asm__(
    ".pushsection .rodata\n"
    ".balign 64\n"
    ".globl model_begin\n"
    "model_begin:\n"
    ".incbin \"" MODEL
    "\"\n"
    ".globl model_end\n"
    "model_end:\n"
    ".byte 0\n"
    ".popsection\n");
