"""What a function's own code says of its frame: report/prologue.c in Python, with the same rows.

Compilers lay frames out as they like, so nobody may take the frame record for a frame's lowest
word: the instructions up to `add x29, sp, #n`, and what is taken of the stack after it, tell where
that is (Arm ARM C6.2). It asks GDB nothing, so tests import it as well.
"""


def bits(word, low, width):
    return word >> low & ((1 << width) - 1)


def _immediate(word):
    return bits(word, 10, 12) << (12 if bits(word, 22, 1) else 0)


def _pushed(field, width, unit):
    """How far the signed offset of a write-back moves SP down."""
    return ((1 << width) - field) * unit if field >> (width - 1) else 0


class Prologue:
    """Of one function, up to where it was told the instructions."""

    def __init__(self, words=()):
        self.taken = 0  # bytes of stack since the function began
        self.record = 0  # those of them that lie above its record's address
        self.made = self.over = False  # x29 leads to its record; what follows is no prologue
        self._constant_in = self._target_in = None
        self._constant = self._target = self._before = 0
        self._at_target = False
        for word in words:
            self.step(word)

    @property
    def below(self):
        """Bytes of the frame that lie below its record."""
        return self.taken - self.record if self.made else 0

    def step(self, word):
        if self.over:
            return
        before = self.taken
        for mask, value, act in ROWS:
            if word & mask == value:
                act(self, word)
                break
        self._before = before

    def set_fp(self, word):
        if not self.made:
            self.made, self.record = True, self.taken - _immediate(word)

    def sub_sp(self, word):
        self.taken += _immediate(word)

    def push_pair(self, word):
        self.taken += _pushed(bits(word, 15, 7), 7, 8)

    def push_one(self, word):
        self.taken += _pushed(bits(word, 12, 9), 9, 1)

    def movz(self, word):
        self._constant_in = bits(word, 0, 5)
        self._constant = bits(word, 5, 16) << 16 * bits(word, 21, 2)

    def movk(self, word):
        if self._constant_in == bits(word, 0, 5):
            shift = 16 * bits(word, 21, 2)
            self._constant = self._constant & ~(0xFFFF << shift) | bits(word, 5, 16) << shift

    def sub_sp_register(self, word):
        if self._constant_in == bits(word, 16, 5):
            self.taken += self._constant
        else:
            self.over = self.made  # alloca

    def sub_from_sp(self, word):
        self._target_in, self._target = bits(word, 0, 5), self.taken + _immediate(word)

    def sub_register_from_sp(self, word):
        if self._constant_in == bits(word, 16, 5):
            self._target_in, self._target = bits(word, 0, 5), self.taken + self._constant

    def compare_sp(self, word):
        """Right after a step down, and not with the target: a loop that probes an alloca."""
        self._at_target = self._target_in == bits(word, 16, 5)
        if self.made and not self._at_target and self._before != self.taken:
            self.taken, self.over = self._before, True

    def branch_if(self, word):
        """A loop of probes ends where SP has come to its target; any other branch is the end."""
        if self._at_target:
            self.taken = self._target
        else:
            self.end(word)
        self._at_target = False

    def end(self, word):
        self.over = self.made


ROWS = (
    (0xFF8003FF, 0x910003FD, Prologue.set_fp),  # add x29, sp, #n
    (0xFF8003FF, 0xD10003FF, Prologue.sub_sp),  # sub sp, sp, #n
    (0xFFC003E0, 0xA98003E0, Prologue.push_pair),  # stp x, x, [sp, #-n]!
    (0xFFE00FE0, 0xF8000FE0, Prologue.push_one),  # str x, [sp, #-n]!
    (0xFFE00FE0, 0xF80007E0, Prologue.push_one),  # str x, [sp], #-n
    (0xFF800000, 0xD2800000, Prologue.movz),  # mov x, #n
    (0xFF800000, 0xF2800000, Prologue.movk),  # movk x, #n, lsl #s
    (0xFFE0FFFF, 0xCB2063FF, Prologue.sub_sp_register),  # sub sp, sp, x
    (0xFF8003E0, 0xD10003E0, Prologue.sub_from_sp),  # sub x, sp, #n
    (0xFFE0FFE0, 0xCB2063E0, Prologue.sub_register_from_sp),  # sub x, sp, x
    (0xFFE0FFFF, 0xEB2063FF, Prologue.compare_sp),  # cmp sp, x
    (0xFF000010, 0x54000000, Prologue.branch_if),  # b.cond
    (0xFF8003FF, 0x910003FF, Prologue.end),  # add sp, sp, #n
    (0xFF8003FF, 0x910003BF, Prologue.end),  # add sp, x29, #n; mov sp, x29
    (0xFF8003FF, 0xD10003BF, Prologue.end),  # sub sp, x29, #n
    (0xFFC003E0, 0xA8C003E0, Prologue.end),  # ldp x, x, [sp], #n
    (0x7C000000, 0x14000000, Prologue.end),  # b, bl
    (0x7C000000, 0x34000000, Prologue.end),  # cbz, cbnz, tbz, tbnz
    (0xFE000000, 0xD6000000, Prologue.end),  # br, blr, ret, eret
)


def undoes(word):
    """`ldp x29, x30, [sp …]`: from here on x29 is the caller's again."""
    return word & 0xFE407FFF == 0xA8407BFD


def ends_line(word):
    """Does control never go on to the instruction after this one? b; br, ret, eret, but not blr."""
    through_register = word & 0xFE000000 == 0xD6000000
    return word & 0xFC000000 == 0x14000000 or (through_register and bits(word, 21, 3) != 1)


def prologue_until(words):
    """What a function has made of its frame when these, its first instructions, have run."""
    prologue = Prologue(words)
    for word in reversed(words):
        if ends_line(word):
            break
        if undoes(word):
            prologue.made = False
            break
    return prologue
