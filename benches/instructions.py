#!/usr/bin/env python3
"""Instructions of one step of the V3 kernels, counted by callgrind: exact, so that a regression shows on any machine.

    python3 benches/instructions.py            compares with benches/results/instructions.json; fails if one grew by 2 %
    python3 benches/instructions.py --record   writes that file

A step's count is the difference between a run of many steps and one of few, so start and end do not count. (Callgrind
does not know AVX-512; the V3 kernels stand for all, as they come from the same source.)
"""

import json
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
RECORD = HERE / "results" / "instructions.json"
SIZES = ["1,8", "1,16", "1,20", "1,32", "1,40", "10,20", "32,32", "64,64", "128,128", "256,256", "512,512"]
FEW, MANY = 4, 36
TOLERANCE = 1.02


def program(name):
    """Builds one of this crate's programs, and tells where it lies."""
    command = ["cargo", "build", "--release", "-p", "lstm-kernels-benches", "--bin", name]
    subprocess.run(command + ["--message-format", "json-render-diagnostics"], cwd=HERE, check=True, stdout=subprocess.PIPE)
    metadata = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--no-deps"], cwd=HERE, check=True, stdout=subprocess.PIPE
    )
    return pathlib.Path(json.loads(metadata.stdout)["target_directory"]) / "release" / name


def instructions(path, size, steps):
    """All instructions of one run."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", path, size, str(steps)]
    run = subprocess.run(command, env={**os.environ, "LSTM_KERNELS_ISA": "v3"}, capture_output=True, text=True, check=True)
    return int(re.search(r"Collected : (\d+)", run.stderr).group(1))


def main():
    path = program("instructions")
    counts = {size: (instructions(path, size, MANY) - instructions(path, size, FEW)) // (MANY - FEW) for size in SIZES}
    old = json.loads(RECORD.read_text())["instructions"] if RECORD.exists() else {}
    print("| size | instructions a step | recorded |\n|---|---|---|")
    for size, count in counts.items():
        print(f"| {size} | {count:,} | {old.get(size, '')} |")
    if "--record" in sys.argv:
        rustc = subprocess.run(["rustc", "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        RECORD.parent.mkdir(exist_ok=True)
        RECORD.write_text(json.dumps({"isa": "v3", "rustc": rustc, "instructions": counts}, indent=2) + "\n")
        return
    grown = [size for size, count in counts.items() if count > TOLERANCE * old.get(size, count)]
    if grown:
        sys.exit(f"more instructions than recorded: {', '.join(grown)}")


if __name__ == "__main__":
    main()
