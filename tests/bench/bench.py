#!/usr/bin/env python3
"""Measures udsd beside the bare loop and the peers that are installed, in turns, in one run.

usage: bench.py    (make bench; make bench QUICK=1)

Prints ratios and whether they reach their goals, and writes bench.md and, with gnuplot, bench.svg
into the current directory. Environment: UDSD_BUILD, UDSD_SRC, QUICK.
"""
import time

import costs
import rates
import report
from servers import Bench


def main():
    begun, before = time.monotonic(), report.load_average()
    with Bench() as bench:
        rows, tables, tiny = rates.measure(bench)
        rows += costs.measure(bench)
        report.write_chart(bench, tiny)
    text = report.text(rows, tables, tiny, before, time.monotonic() - begun)
    with open("bench.md", "w", encoding="utf-8") as out:
        out.write(text)
    print(text)


if __name__ == "__main__":
    main()
