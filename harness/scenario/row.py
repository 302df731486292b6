"""What a scenario is: a row of scenarios/test_<family>.py, and the cases that follow from it.

    SCENARIOS = [
        Scenario("stack.recurse", verdict="caught by=guard-page", aborts=1,
                 triggers=("boot", "serial", "gdb"), poke={"past": 1024},
                 controls=(Control("protect=-guard", "survived"),)),
    ]

    def test_stack(case: Case, walk: Walk) -> None:
        walk(case)

One case per trigger and per control; walk.py runs them, judge.py judges them. All triggers of a
scenario end in the same golden, golden/<family>/<name>.log:

    boot    the parameters (lab keys of args, and poke) stand in the boot line
    serial  the lab waits at hold=serial and gets them in `go key=value …`
    gdb     GDB stops at lab_<family>_<name> and writes them into <family>_<name>_args

Keys that the kernel needs before it reaches the lab (GLOBAL_KEYS) stand in the boot line always.

GDB's view. A scenario that takes an abort is also looked at from the side: GDB stops at
debugger_fault_hook, and its DWARF backtrace has to agree with the kernel's. One case per scenario
looks: the gdb-triggered one, or else the first. So the boot and serial cases show that nothing
depends on a debugger being there, and cost what QEMU costs. The case that looked writes the
golden, because only its log is whole; the others are compared without the [gdb] records.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any, Literal, Protocol, get_args

from harness.serial.log import NO_END, VERDICTS, parse_line, verdict_text

Trigger = Literal["boot", "serial", "gdb"]

GLOBAL_KEYS = frozenset({"lab", "protect", "fault", "on-fault", "nonce", "hold"})
UNTELLING = frozenset(("panic", "double-fault", "bad-args"))
DETERMINISTIC = "shift=0,sleep=off"
BUDGET_SECONDS = 30.0
# What a machine has beyond the watchdog's time: twenty boots' worth. Under DETERMINISTIC an
# instruction takes one guest ns.
ENDLESS_INSTRUCTIONS = 10_000_000
INSTRUCTIONS_A_GUEST_MS = 1_000_000
# The longest that the kernel's watchdog waits. Without icount guest time is the host's, and a busy
# host would make any shorter one bark: the wall clock ends such a machine when it hangs.
UNHURRIED_MS = 600_000

_LAB = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_NAME = re.compile(r"[a-z][\w.-]*")
# The compilers whose frames never step over a guard: clang cannot probe them for AArch64 before 18.
PROBING = "gcc>=12 clang>=18"

_ONLY = re.compile(r"(qemu|gcc|clang)(<|>=)(\d+(?:\.\d+)*)")
_SUFFIX = {"K": 1 << 10, "M": 1 << 20}


@dataclass(frozen=True)
class Control:
    """The same boot without the protection under test, and the verdict that must appear instead.

    golden      the whole log is compared, too; a must where the verdict could come of anything
    at          the function that the report says was interrupted, or the few that it may be, with |
                between them: a must for a hang, whose golden would hold the instruction, which is
                chance
    """

    args: str
    verdict: str
    golden: bool = False
    at: str = ""

    def __post_init__(self) -> None:
        _check_verdict(self.verdict)
        if self.verdict.split()[0] in UNTELLING and not self.golden:
            raise ValueError(f"{self.verdict} could come of anything: give it golden=True")
        if (self.verdict.split()[0] == "hang") != bool(self.at):
            raise ValueError(f"{self.verdict}: a control that hangs, and no other, says at= where")
        if not _pairs(self.args):
            raise ValueError(
                "a control changes the boot line: give it args, such as protect=-guard"
            )

    @property
    def slug(self) -> str:
        """protect=-guard,-sentinel → no-guard-no-sentinel: fit for `pytest -k`."""
        return "-".join(_slug(key, value) for key, value in _pairs(self.args).items())


@dataclass(frozen=True)
class Scenario:
    """One way to break something, what must come of it, and what must come of it unprotected.

    aborts      data and prefetch aborts that QEMU counted, exactly
    args        further boot-line keys
    poke        parameters of the lab: numbers, which any trigger can give
    name        names case and golden where the lab's own name is taken (a variant)
    controls    or `uncontrolled`, the reason why there can be none
    gdb_view    compare GDB's backtrace with the kernel's; None: whenever an abort is expected; or,
                in words, why GDB does not look
    budget      wall-clock backstop in seconds; a verdict is normally known as soon as QEMU exits
    mte         the machine keeps memory tags (-M virt,mte=on), which wants cpu="max"
    icount      None only with several CPUs that must spin
    only        what the row is about, where that is not every machine: qemu<9, or any of several,
                "gcc>=12.4 clang>=14". Elsewhere it is skipped, and says so
    """

    lab: str
    verdict: str
    args: str = ""
    name: str = ""
    aborts: int = 0
    triggers: tuple[Trigger, ...] = ("boot",)
    poke: Mapping[str, int] = field(default_factory=dict, hash=False)
    controls: tuple[Control, ...] = ()
    uncontrolled: str = ""
    gdb_view: bool | str | None = None
    budget: float = BUDGET_SECONDS
    cpu: str = "cortex-a72"
    mte: bool = False
    memory_mib: int = 128
    cpus: int = 1
    icount: str | None = DETERMINISTIC
    only: str = ""

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise ValueError(f"{self.lab}: {problem}")

    @property
    def family(self) -> str:
        return self.lab.partition(".")[0]

    @property
    def title(self) -> str:
        """What `pytest -k` and the golden's file name say."""
        return self.name or self.lab.partition(".")[2]

    @property
    def looks(self) -> bool:
        return self.aborts > 0 if self.gdb_view is None else self.gdb_view is True

    @property
    def parameters(self) -> dict[str, str]:
        """What the lab itself takes, by any trigger."""
        own = {key: value for key, value in _pairs(self.args).items() if key not in GLOBAL_KEYS}
        return own | {key: str(value) for key, value in self.poke.items()}

    def boot_line(self, control: Control | None = None) -> str:
        """The whole boot line but for the nonce: what the golden's header and `make debug` say."""
        changed = _pairs(control.args) if control else {}
        return _join({"lab": self.lab} | _pairs(self.args) | self.parameters | changed)

    def cases(self) -> "Iterator[Case]":
        yield from (Case(self, trigger) for trigger in self.triggers)
        yield from (Case(self, "boot", control) for control in self.controls)


def halted_and_killed(
    lab: str, detector: str, *, controls: tuple[Control, ...] = (), **fields: Any
) -> list[Scenario]:
    """Two rows for a lab whose victim is a thread: the fault ends the machine; and, with
    on-fault=kill, only the victim, twice in one boot. fields: further fields of Scenario; aborts:
    what one fault costs.
    """
    killed = tuple(
        replace(control, verdict=killed, golden=killed.split()[0] in UNTELLING)
        for control in controls
        for killed in [control.verdict.replace("caught", "contained")]
    )
    halt = Scenario(lab, verdict=f"caught by={detector}", controls=controls, **fields)
    kill = replace(
        halt,
        args=f"{halt.args} on-fault=kill".strip(),
        name=f"{halt.title}-kill",
        verdict=f"contained by={detector}",
        aborts=2 * halt.aborts,
        controls=killed,
    )
    return [halt, kill]


@dataclass(frozen=True)
class Case:
    """One boot to be judged: a scenario by one trigger, or one of its controls."""

    scenario: Scenario
    trigger: Trigger = "boot"
    control: Control | None = None

    @property
    def id(self) -> str:
        """guard_touch, guard_touch-serial, guard_touch-control-no-guard."""
        if self.control:
            return f"{self.scenario.title}-control-{self.control.slug}"
        suffix = "" if self.trigger == "boot" else f"-{self.trigger}"
        return self.scenario.title + suffix

    @property
    def full_id(self) -> str:
        """With the family: the name of the case's artifact folder."""
        return f"{self.scenario.family}.{self.id}"

    @property
    def verdict(self) -> str:
        return self.control.verdict if self.control else self.scenario.verdict

    @property
    def aborts(self) -> int | None:
        """None for a control: what an unprotected machine does on its way is not promised."""
        return None if self.control else self.scenario.aborts

    @property
    def instructions(self) -> int | None:
        """After how many a machine that is not to end has not ended. The scenario itself has as
        many, and ends: else they would tell nothing.
        """
        endless = any(control.verdict == NO_END for control in self.scenario.controls)
        if not endless or self.trigger != "boot":  # how long it waits for others is not its own
            return None
        watchdog = int(self.scenario.parameters.get("watchdog", 0))  # guest ms
        return ENDLESS_INSTRUCTIONS + watchdog * INSTRUCTIONS_A_GUEST_MS

    @property
    def can_be_warm(self) -> bool:
        """Nobody types or looks, and it comes to its end: then a snapshot serves as well."""
        alone = self.trigger == "boot" and not self.looks
        return alone and bool(self.scenario.icount) and self.verdict != NO_END

    @property
    def looks(self) -> bool:
        """Does GDB look? One case per scenario does."""
        if self.control or not self.scenario.looks:
            return False
        return self.trigger == _looking_trigger(self.scenario)

    @property
    def records(self) -> bool:
        """Does this case write the golden's `.new`? One per golden does, so none can race."""
        return bool(self.control) or self.trigger == _looking_trigger(self.scenario)

    @property
    def golden(self) -> PurePath | None:
        """Below golden/; None when only the verdict is compared."""
        if self.control and not self.control.golden:
            return None
        name = self.id if self.control else self.scenario.title
        return PurePath(self.scenario.family, f"{name}.log")

    @property
    def boot_line(self) -> str:
        return self.scenario.boot_line(self.control)

    def append(self, nonce: str) -> str:
        """What this trigger's QEMU gets as -append."""
        pairs = _pairs(self.boot_line)
        if self.trigger != "boot":
            pairs = {key: value for key, value in pairs.items() if key in GLOBAL_KEYS}
        hold = {"hold": "serial"} if self.trigger == "serial" else {}
        return _join(pairs | hold | {"nonce": nonce})

    @property
    def go(self) -> str:
        """What the serial trigger types."""
        return " ".join(("go", _join(self.scenario.parameters))).rstrip()

    @property
    def entry(self) -> str:
        """Where the gdb trigger stops: lab_stack_recurse."""
        return "lab_" + self.scenario.lab.replace(".", "_")

    def pokes(self) -> Iterator[tuple[str, int]]:
        """What the gdb trigger writes there: ("stack_recurse_args.past", 1024)."""
        struct = self.scenario.lab.replace(".", "_") + "_args"
        for key, value in self.scenario.parameters.items():
            yield f"{struct}.{key}", number(value)


def is_elsewhere(only: str, versions: Mapping[str, Callable[[], str]]) -> bool:
    """Is a row with this only= about another machine than one with these tools? One of its words is
    enough for it to be about this one. A compiler that made nothing here has no version.
    """
    return bool(only) and not any(_holds(word, versions) for word in only.split())


def _holds(word: str, versions: Mapping[str, Callable[[], str]]) -> bool:
    tool, relation, bound = _ONLY.fullmatch(word).groups()  # type: ignore[union-attr] # _problems
    here, there = versions[tool](), _numbers(bound)
    return bool(here) and (_numbers(here) < there) == (relation == "<")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


class Walk(Protocol):
    """The fixture: runs a case, judges it, and fails the test with everything one needs to act."""

    def __call__(self, case: Case) -> None: ...

    def hold(self, name: str, boot: str, lines: Sequence[str]) -> None:
        """Hold records that are no boot's log against golden/<name>, and fail like a case."""


def number(text: str) -> int:
    """A parameter's value as the kernel reads it: 0x…, K and M."""
    factor = _SUFFIX.get(text[-1:], 1)
    return int(text[:-1] if factor > 1 else text, 0) * factor


def duplicates(scenarios: list[Scenario]) -> list[str]:
    """Cases that would share an artifact folder or a golden."""
    ids = [case.full_id for scenario in scenarios for case in scenario.cases()]
    return sorted({name for name in ids if ids.count(name) > 1})


def _looking_trigger(scenario: Scenario) -> Trigger:
    by_gdb = scenario.looks and "gdb" in scenario.triggers
    return "gdb" if by_gdb else scenario.triggers[0]


def _problems(scenario: Scenario) -> Iterator[str]:
    _check_verdict(scenario.verdict)
    if not _LAB.fullmatch(scenario.lab):
        yield "a lab is named family.name"
    if scenario.name and not _NAME.fullmatch(scenario.name):
        yield f"name {scenario.name!r} is not fit for a file name and `pytest -k`"
    if bool(scenario.controls) == bool(scenario.uncontrolled):
        yield "give it controls=(Control(…),), or else say in uncontrolled= why there can be none"
    if "protect" in _pairs(scenario.args):
        yield "protect= stands only in controls: a scenario runs with every protection on"
    if not scenario.triggers or set(scenario.triggers) - set(get_args(Trigger)):
        yield f"triggers are one or more of {', '.join(get_args(Trigger))}"
    if not scenario.icount and "watchdog" not in scenario.parameters:
        yield f"without icount a busy host decides: give it args='watchdog={UNHURRIED_MS}'"
    if not all(_ONLY.fullmatch(word) for word in scenario.only.split()):
        yield f"only={scenario.only!r} is no tool and version: qemu<9, 'gcc>=12.4 clang>=14'"
    yield from _control_problems(scenario)
    yield from _parameter_problems(scenario)


def _control_problems(scenario: Scenario) -> Iterator[str]:
    for control in scenario.controls:
        if control.verdict == scenario.verdict:
            yield f"control {control.args} proves nothing: its verdict is the scenario's own"


def _parameter_problems(scenario: Scenario) -> Iterator[str]:
    if twice := scenario.poke.keys() & _pairs(scenario.args).keys():
        yield f"{', '.join(sorted(twice))} stands both in args and in poke"
    for key, value in scenario.parameters.items() if "gdb" in scenario.triggers else ():
        try:
            number(value)
        except ValueError:
            yield f"{key}={value} is no number, and GDB writes only numbers: drop the gdb trigger"


def _check_verdict(text: str) -> None:
    record = parse_line(f"[end] {text}")
    if record.words[:1] and record.words[0] in VERDICTS and verdict_text(record) == text:
        return
    raise ValueError(f"{text!r} is no verdict: one of {', '.join(sorted(VERDICTS))}, and by=…")


def _pairs(args: str) -> dict[str, str]:
    pairs = [item.partition("=") for item in args.split()]
    found = {key: value for key, _, value in pairs}
    if len(found) != len(pairs) or not all(found.values()):
        raise ValueError(f"{args!r}: expected key=value, each key once")
    return found


def _join(pairs: Mapping[str, str]) -> str:
    return " ".join(f"{key}={value}" for key, value in pairs.items())


def _slug(key: str, value: str) -> str:
    text = value if key == "protect" else f"{key}-{value}"
    switches = (
        "-".join(item.replace("-", "no-", 1) for item in text.split(","))
        if key == "protect"
        else text
    )
    return re.sub(r"[^\w.-]", "-", switches)
