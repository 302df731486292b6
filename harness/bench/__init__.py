"""`make bench`: what a scenario costs, beside what QEMU itself costs on the same machine just then.

    measure.py   runs that take turns, and what is left of their times: pure
    rows.py      what is measured: the floor, cold, with GDB, warm, many CPUs
    inpytest.py  a pytest plugin: each test's time, and the floor's after it
    __main__.py  runs all that, prints the tables, writes build/bench.json

The measure is the ratio to the floor, a kernel whose first instruction powers off. The same QEMU
takes 25 or 36 ms depending on the minute, so nothing is timed in a block of its own: everything
takes turns, and a ratio is that of two medians of one run. No verdict comes of a time.

Not hyperfine or pytest-benchmark: both finish one command's runs before they begin the next one's.
"""
