"""What every command shares: is this the right machine, and how is a thing of the kernel read.

Names and layouts come from the image's DWARF and linker symbols. What is retyped here is Arm's,
not the kernel's: bits of registers and of ELF. No command's own work belongs here.
"""

import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import gdb

U64 = (1 << 64) - 1
PSTATE_SP = 1 << 0  # on SP_EL1: in a handler
SCTLR_M = 1 << 0


# --- a command ---------------------------------------------------------------------------------


class Command(gdb.Command):
    """`hw WORD`: a subclass has a docstring (its help), `word`, `usage`, and run(argument).

    run yields lines. usage: "" takes no argument, "[X]" may take one, "X" must have one.
    names(before) is what <Tab> offers after the words that stand there already, or one of GDB's
    own ways to complete (gdb.COMPLETE_EXPRESSION).
    """

    usage = ""

    def __init__(self):
        super().__init__(f"hw {self.word}", gdb.COMMAND_DATA)

    def invoke(self, argument, _from_tty):
        argument = argument.strip()
        self._check_usage(argument)
        check_machine()
        forget()
        try:
            for line in self.run(argument):
                gdb.write(f"{line}\n")
        except gdb.MemoryError as error:
            raise gdb.GdbError(f"hw {self.word}: {error}; to see why: hw pt ADDRESS") from None
        except gdb.error as error:
            raise gdb.GdbError(f"hw {self.word}: {error}") from None
        except KeyError as missing:
            message = f"the kernel's structs have no {missing}: image and commands differ in age"
            raise gdb.GdbError(f"hw {self.word}: {message}. Type, in a shell: make build") from None

    def run(self, argument):
        raise NotImplementedError

    def names(self, _before):
        return ()

    def complete(self, text, word):
        """GDB's own words end at . : and - too: it wants only what follows `word`'s beginning."""
        *before, typed = text.lstrip().split(" ") if text.strip() else [""]
        known = _names_now(self, before)
        if isinstance(known, int):
            return known
        begun = len(typed) - len(word or "")
        return sorted({name[begun:] for name in known if name.startswith(typed)})

    def _check_usage(self, argument):
        wanted = bool(self.usage) and not self.usage.startswith("[")
        if (argument and not self.usage) or (wanted and not argument):
            typed = f"hw {self.word} {self.usage}".strip()
            raise gdb.GdbError(f"type: {typed}   (more: help hw {self.word})")


def _names_now(asked, before):
    """Nothing is offered, and nothing said, where the command would refuse."""
    try:
        check_machine()
        forget()
        return asked.names(before)
    except (gdb.error, gdb.GdbError, KeyError):
        return ()


def command(cls):
    """Class decorator: make the command known to GDB."""
    cls()
    return cls


def once(function):
    """Decorator: remember what a function without arguments found, until the next command or until
    the machine moves (forget()).
    """
    remembered = cache(function)
    _REMEMBERED.append(remembered)
    return remembered


_REMEMBERED = []


def forget():
    """What was remembered of the machine is no longer so."""
    for remembered in _REMEMBERED:
        remembered.cache_clear()


# --- is this the right machine? ----------------------------------------------------------------


def check_machine():
    thread = gdb.selected_thread()
    if thread is None or not thread.is_valid():
        raise gdb.GdbError(
            "no machine is attached. Type, in a shell: make debug LAB=stack.recurse"
            "   or here: target remote SOCKET"
        )
    if thread.is_running():
        raise gdb.GdbError("the machine is running. Type: interrupt")
    if gdb.lookup_global_symbol("all_threads") is None:
        raise gdb.GdbError("the kernel's symbols are missing. Type: file build/kernel.elf")
    if not system_register("SCTLR", "SCTLR_EL1") & SCTLR_M:
        raise gdb.GdbError(
            f"the MMU is still off (pc={register('pc'):#x} is physical), so nothing of the kernel"
            " is at its address yet. Type: tbreak boot_main   then: continue"
        )
    check_build_id()


def check_build_id():
    objfile = gdb.lookup_global_symbol("all_threads").symtab.objfile
    ours = _note(objfile)
    try:
        theirs = read(address_of("__build_id"), len(ours))
    except gdb.MemoryError:
        theirs = b""
    if theirs != ours:
        seen = theirs[-20:].hex() if theirs[:16] == ours[:16] else "none where it should be"
        raise gdb.GdbError(
            f"wrong image: {objfile.filename} has build-id {ours[-20:].hex()}, the guest {seen}."
            " Type: file IMAGE   with the one the machine was started with (or make debug again)"
        )


def _note(objfile):
    """The build-id note of an image, read when first seen: it may be rebuilt under a session."""
    if not hasattr(objfile, "highwater_note"):
        objfile.highwater_note = _note_in_file(Path(objfile.filename), address_of("__build_id"))
    return objfile.highwater_note


def _note_in_file(path, address):
    """The ELF note that is linked at `address`, header included."""
    elf = path.read_bytes()
    (headers,) = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<2H", elf, 54)
    for n in range(count):
        offset, start, _, length = struct.unpack_from("<4Q", elf, headers + n * size + 8)
        if start <= address < start + length:
            at = address - start + offset
            name, description = struct.unpack_from("<2I", elf, at)
            return elf[at : at + 12 + name + description]
    raise gdb.GdbError(f"{path} has no build-id at {address:#x}. Type, in a shell: make build")


# --- values ------------------------------------------------------------------------------------


def value(expression):
    try:
        return gdb.parse_and_eval(expression)
    except gdb.MemoryError:
        raise
    except gdb.error as error:
        raise gdb.GdbError(f"{error} Is this kernel of another version? Try: make build") from None


def static(file, name):
    """A static variable of one of the kernel's files: static("base/stack.c", "stacks")."""
    return value(f"'{file}'::{name}")


def address_of(name):
    """Where a variable or a symbol of kernel.ld is."""
    return unsigned(value(f"(unsigned long)&{name}"))


def unsigned(number):
    return int(number) & U64


def text(characters):
    """A char array, or a char pointer; "" for NULL."""
    if characters.type.strip_typedefs().code == gdb.TYPE_CODE_PTR and not int(characters):
        return ""
    return characters.string(errors="replace").partition("\0")[0]


def read(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def words(address, size):
    return struct.unpack(f"<{size // 8}Q", read(address, size // 8 * 8))


def at(type_name, address):
    """The struct that lies at an address."""
    return gdb.Value(address).cast(gdb.lookup_type(type_name).pointer()).dereference()


def elements(array):
    low, high = array.type.range()
    return [array[n] for n in range(low, high + 1)]


def chain(head, link):
    """The elements of a linked list. A list that closes on itself is cut with an error."""
    seen = set()
    while int(head) and int(head) not in seen:
        seen.add(int(head))
        element = head.dereference()
        element.fetch_lazy()  # the whole struct in one packet, not a packet a member
        yield element
        head = element[link]
    if int(head):
        raise gdb.GdbError(f"a list of {head.type} comes back to itself: a link is overwritten")


def offset_of(type_name, field):
    return gdb.lookup_type(type_name)[field].bitpos // 8


def between(start, end, element_type):
    """What the linker gathered between two of its symbols."""
    first, last = address_of(start), address_of(end)
    pointer = gdb.Value(first).cast(element_type.pointer())
    return [pointer[n] for n in range((last - first) // element_type.sizeof)]


# --- registers and CPUs ------------------------------------------------------------------------


def register(name):
    return unsigned(gdb.newest_frame().read_register(name))


def system_register(*names):
    """By the first of these names that QEMU knows: they differ between its versions."""
    for name in names:
        try:
            return register(name)
        except ValueError:
            continue
    raise gdb.GdbError(f"this stub shows no {names[0]}: the commands need QEMU's, 7.2 or later")


@dataclass(frozen=True)
class Cpu:
    """A CPU's registers as they are now, and the thread that it runs."""

    index: int
    pc: int
    sp: int
    fp: int
    lr: int
    in_handler: bool
    current: gdb.Value  # struct thread; current.frame is what the handler was entered with


@once
def cpus():
    """The CPUs that have come as far as having a thread. The user's selection stays as it is."""
    selected, frame = gdb.selected_thread(), gdb.selected_frame()
    try:
        return [cpu for thread in _inferior_threads() if (cpu := _cpu(thread))]
    finally:
        if gdb.selected_thread().num != selected.num:
            selected.switch()
            frame.select()


def _inferior_threads():
    return sorted(gdb.selected_inferior().threads(), key=lambda thread: thread.num)


def _cpu(thread):
    if gdb.selected_thread().num != thread.num:
        thread.switch()
    current = system_register("TPIDR_EL1")
    if not current:
        return None
    pc, sp, fp, lr, pstate = (register(name) for name in ("pc", "sp", "x29", "x30", "cpsr"))
    owner = at("struct thread", current)
    return Cpu(thread.num - 1, pc, sp, fp, lr, bool(pstate & PSTATE_SP), owner)


# --- threads -----------------------------------------------------------------------------------


@once
def threads():
    """Every thread there is, newest first; the boot context too while it runs."""
    known = list(chain(value("all_threads"), "all_next"))
    places = {int(thread.address) for thread in known}
    return known + [c.current for c in cpus() if int(c.current.address) not in places]


def runs_on(thread):
    """The CPU whose current thread this is, or None."""
    return next((c for c in cpus() if c.current.address == thread.address), None)


def context(thread):
    """Where a thread stands (pc, sp, fp, lr): live when it runs, else from its frame."""
    cpu = runs_on(thread)
    if cpu and not cpu.in_handler:
        return cpu.pc, cpu.sp, cpu.fp, cpu.lr
    return frame_context(thread["frame"])


def frame_context(frame):
    x = frame["x"]
    return tuple(unsigned(v) for v in (frame["elr"], frame["sp"], x[29], x[30]))
