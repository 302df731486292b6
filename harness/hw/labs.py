"""hw labs: what can be broken here, and with which values?"""

import gdb

from .kernel import Command, between, command, text
from .table import table


@command
class Labs(Command):
    """The catalogue, with each parameter's value as it is now; * where it is not the default.

    To change one while the machine stands at the lab's entry, before the lab checks its values:
    break lab_stack_recurse, continue, set var stack_recurse_args.past = 1024
    """

    word = "labs"

    def run(self, _argument):
        rows = []
        for lab in between("__labs_start", "__labs_end", gdb.lookup_type("struct lab").pointer()):
            rows.append((text(lab["name"]), " ", " ", " ", text(lab["sentence"])))
            rows += [_row(lab, n) for n in range(int(lab["param_count"]))]
        yield from table(("LAB", "PARAMETER", "NOW", "ALLOWED", ""), rows)


def _row(lab, n):
    param, now = lab["params"][n], int(lab["values"][n])
    allowed = f"{int(param['min'])}..{int(param['max'])}"
    changed = "" if now == int(param["initial"]) else "*"
    return " ", text(param["key"]), f"{now}{changed}", allowed, text(param["help"])
