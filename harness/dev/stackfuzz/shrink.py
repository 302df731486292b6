"""A batch that fails, made smaller while it still fails: programs, flags, notes, functions,
statements, and what each says. Pure; the caller knows what failing is, and how long to go on.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from harness.dev.stackfuzz.flags import Flags
from harness.dev.stackfuzz.model import Batch, Function, Program, Statement, without_unused

Fails = Callable[[Batch], bool]


def shrink(batch: Batch, fails: Fails, most: int) -> tuple[Batch, int]:
    """The smallest that was found, and how many were tried; `most` limits them."""
    tried = 0
    candidates = smaller(batch)
    while tried < most and (candidate := next(candidates, None)):
        tried += 1
        if fails(candidate):
            batch, candidates = candidate, smaller(candidate)
    return batch, tried


def smaller(batch: Batch) -> Iterator[Batch]:
    """Every batch that is one step smaller, the largest steps first."""
    if len(batch.programs) > 1:
        yield from (replace(batch, programs=(program,)) for program in batch.programs)
    for at in range(1, len(batch.flags.words)):
        words = batch.flags.words[:at] + batch.flags.words[at + 1 :]
        yield replace(batch, flags=Flags(batch.flags.compiler, words))
    for kind in sorted(batch.noted):
        yield replace(batch, noted=batch.noted - {kind})
    for at, program in enumerate(batch.programs):
        for less in _programs(program):
            programs = (*batch.programs[:at], less, *batch.programs[at + 1 :])
            yield replace(batch, programs=programs)


def _programs(program: Program) -> Iterator[Program]:
    for index, _ in program.there():
        if index:
            yield _without(program, index)
    for index, function in program.there():
        for less in _functions(function):
            yield without_unused(_with(program, index, less))


def _with(program: Program, index: int, function: Function | None) -> Program:
    functions = (*program.functions[:index], function, *program.functions[index + 1 :])
    return replace(program, functions=functions)


def _without(program: Program, index: int) -> Program:
    """Not this function, nor any statement that names it."""
    program = _with(program, index, None)
    for other, function in program.there():
        body = tuple(_spared(function.body, index))
        program = _with(program, other, replace(function, body=body))
    return without_unused(program)


def _spared(body: tuple[Statement, ...], index: int) -> Iterator[Statement]:
    for statement in body:
        if index not in statement.callees:
            yield replace(statement, body=tuple(_spared(statement.body, index)))


def _functions(function: Function) -> Iterator[Function]:
    yield from (replace(function, body=body) for body in _bodies(function.body))
    if function.attributes or function.unit:
        yield replace(function, attributes=0, unit=0)
    if function.form:
        yield replace(function, form=0)


def _bodies(body: tuple[Statement, ...]) -> Iterator[tuple[Statement, ...]]:
    for at, statement in enumerate(body):
        yield (*body[:at], *body[at + 1 :])
        if statement.body:
            yield (*body[:at], *statement.body, *body[at + 1 :])
        if statement.bit is not None:
            yield (*body[:at], replace(statement, bit=None), *body[at + 1 :])
        for inner in _bodies(statement.body):
            yield (*body[:at], replace(statement, body=inner), *body[at + 1 :])
