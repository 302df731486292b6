"""How deep can each stack get? Read from the machine code of one image, without running it.

    python -m harness.stackreport --elf build/kernel.elf --notes kernel/stack-notes.toml

    image.py      the ELF: functions, labels, code, the compiler's own call graph
    relocations.py  whose address is taken, what the loader fills in, other objects
    memory.py     what stands at an address: an instruction, or a constant
    instruction.py  what capstone says of one, and no more than is asked for
    effects.py    one instruction: what it does to SP and to registers that hold one
    code.py       one function: SP walked through its instructions, depth at each call site
    origin.py     a computed call: was its pointer taken somewhere, or computed here?
    notes.py      what no tool can know: hooks' targets, recursion depths, stacks; each with a why
    bounds.py     the deepest chain below an entry point, with the status of the number
    marks.py      what was measured: [stack] records of golden logs
    findings.py   where compiler and machine code disagree
    report.py     all of it put together and held against each other; rows.py is what comes of it
    text.py, picture.py, asjson.py, diff.py   for people, as HTML, as JSON, against an older one

A number never stands without its status: `≤ 960` is proven, `≥ 832 (indirect call in …)` is what
was found before something that cannot be followed, `unbounded (recursion in …)` has no limit.
docs/stack-report.md has the JSON schema and the list of what this cannot see.
"""
