"""A syndrome in the kernel's own words: the tables of arch/esr.c and report/fault.c, indexed by the
fields that the architecture gives ESR_EL1 (Arm ARM D13.2.37).
"""

from .kernel import elements, static, text, value

ISS_WNR, ISS_CM, ISS_FNV = 1 << 6, 1 << 8, 1 << 10
DATA_ABORTS = ("EC_DABT_SAME", "EC_DABT_LOWER")
INSTRUCTION_ABORTS = ("EC_IABT_SAME", "EC_IABT_LOWER")


def exception_class(esr):
    return esr >> 26 & 0x3F


def status(esr):
    return esr & 0x3F


def _is(esr, classes):
    return any(exception_class(esr) == int(value(name)) for name in classes)


def is_abort(esr):
    return _is(esr, DATA_ABORTS + INSTRUCTION_ABORTS)


def far_valid(esr):
    return _is(esr, ("EC_PC_ALIGN",)) or (is_abort(esr) and not esr & ISS_FNV)


def operation(esr):
    if _is(esr, INSTRUCTION_ABORTS):
        return "exec"
    return "write" if esr & ISS_WNR and not esr & ISS_CM else "read"


def class_name(esr):
    name = text(static("arch/esr.c", "class_names")[exception_class(esr)])
    return name or "reserved exception class"


def status_name(esr):
    return text(static("arch/esr.c", "status_names")[status(esr)]) or "reserved"


def kind_name(kind):
    names = [text(name) for name in elements(static("report/fault.c", "kind_names"))]
    return names[kind] if kind < len(names) else f"kind {kind}"
