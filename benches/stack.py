#!/usr/bin/env python3
"""Inner loops of the kernels in which a sum goes through the stack, found in the machine code.

    python3 benches/stack.py [program]...      of `steps` of this crate, or others; fails if there are any

Where the compiler finds no register for a sum, each round of the loop stores it and loads it again, and the next round
waits for that: 12 cycles in place of 4, though hardly an instruction more. Whether it happens depends on the program
around a kernel, so it is worth a look at other programs, too. Needs `objdump` for the program's machine (`OBJDUMP`).
"""

import os
import pathlib
import re
import subprocess
import sys

from instructions import program

# Longer ones are not of sums alone: what they keep in the stack hurts nobody.
LONGEST = 130

FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:$")
INSTRUCTION = re.compile(r"^\s+([0-9a-f]+):\s+(.*)$")
JUMP = re.compile(r"(?:j\w+|b\.\w+|cbn?z\s+\w+,|tbn?z\s+\w+,\s*#\d+,)\s+([0-9a-f]+)\b")
MULTIPLY_ADD = re.compile(r"vfn?m(add|sub)|fml[as]\b")
STORE = re.compile(r"vmov\w+\s+%[xyz]mm\d+,(-?\w+\(%rsp\))|st[rp]\s+q\d+,(?:\s*q\d+,)?\s*(\[sp.*\])")
LOAD = re.compile(r"v\w+\s+(-?\w+\(%rsp\)),%|ld[rp]\s+q\d+,(?:\s*q\d+,)?\s*(\[sp.*\])")


def functions(path):
    """Names and instructions, with their addresses."""
    command = [os.environ.get("OBJDUMP", "objdump"), "-d", "--demangle", "--no-show-raw-insn", path]
    name, code = "", []
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        if found := FUNCTION.match(line):
            yield name, code
            name, code = found[1], []
        elif found := INSTRUCTION.match(line):
            code.append((int(found[1], 16), found[2]))
    yield name, code


def inner_loops(code):
    """The address of each inner loop, and its instructions."""
    place = {address: n for n, (address, _) in enumerate(code)}
    jumps = {n: place.get(int(to[1], 16)) for n, (_, text) in enumerate(code) if (to := JUMP.match(text))}
    back = {n: to for n, to in jumps.items() if to is not None and to <= n < to + LONGEST}
    for end, start in back.items():
        if not any(start <= to <= n < end for n, to in back.items()):
            yield code[start][0], [text for _, text in code[start : end + 1]]


def slots(pattern, loop):
    """The places in the stack that instructions of a kind name."""
    return {found[1] or found[2] for text in loop if (found := pattern.match(text))}


def main():
    bad = 0
    for path in map(pathlib.Path, sys.argv[1:] or [program("steps")]):
        for name, code in functions(path):
            for address, loop in inner_loops(code):
                sums = slots(STORE, loop) & slots(LOAD, loop)
                multiply_adds = sum(bool(MULTIPLY_ADD.match(text)) for text in loop)
                if sums and multiply_adds > 1:
                    bad += 1
                    print(f"{path.name} {address:x}: {len(sums)} of {multiply_adds} sums in the stack, in {name}")
    if bad:
        sys.exit(f"loops with sums in the stack: {bad}")


if __name__ == "__main__":
    main()
