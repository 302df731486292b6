"""Random programs against the static stack report: measured on a painted stack, never above `≤`.

    model.py      a batch: random programs as data, and the flags that it is built with; from a seed
    c.py, assembly.py   what stands in the sources for each statement; tables
    flags.py      compilers, and the flags that change frames
    trial.py      one batch built, run under qemu-user, reported, compared
    shrink.py     a batch that fails, made smaller while it still fails
    run.py        many of them: how many, how tight, and what to type again
    measure.c     what each program is linked with

A batch is one image of several programs, each with an entry of its own, so that a compiler, a
linker and an emulator are started once for all of them. Every program ends, whatever its argument
is: a function calls later ones only, loops are counted, recursion uses up three bits of the
argument. So a program that crashes is a fault of the generator, or of a toolchain, and said.
"""
