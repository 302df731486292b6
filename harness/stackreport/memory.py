"""What stands at an address of the image: an instruction, or a constant. Decoded where it is asked
for, a page at a time. Pure.

A constant is a word that no run changes: in a section that is not written, or that is written by
the loader alone (`fixed`). What the loader puts there comes from the dynamic relocations (`slots`):
an address of this image, or something of another object's, by name.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from harness.stackreport.effects import Value
from harness.stackreport.instruction import Instruction, decode

PAGE = 4096
WORDS = {"ldr": 8, "ldrsw": 4}  # bytes that each fetches into a register of 64 bits


class Section(NamedTuple):
    """A loaded section. `fixed`: nothing but the loader writes it."""

    name: str
    start: int
    data: bytes
    code: bool = False
    fixed: bool = True
    number: int = 0  # in the file's table

    @property
    def end(self) -> int:
        return self.start + len(self.data)

    def holds(self, address: int) -> bool:
        return self.start <= address < self.end


class Text(dict[int, Instruction | None]):
    """The instructions of one section, by address; None where it has none."""

    def __init__(self, section: Section, memory: "Memory") -> None:
        super().__init__()
        self.section, self._memory = section, memory

    def __missing__(self, address: int) -> Instruction | None:
        section = self.section
        if not section.start <= address < section.end or address % 4:
            return self._memory.elsewhere(self, address)
        first = max(section.start, address & -PAGE)
        data = section.data[first - section.start : (address & -PAGE) + PAGE - section.start]
        self.update(decode(data[: len(data) & -4], first))
        return self.get(address)


class Memory:
    """`starts`: where functions begin; `slots`: what the loader fills, an address or a name;
    `moves`: is the image loaded where it likes? Then a mere number is no address of it."""

    def __init__(
        self,
        sections: Sequence[Section],
        starts: frozenset[int],
        slots: Mapping[int, int | str],
        *,
        moves: bool,
    ) -> None:
        self.starts, self.slots, self._moves = starts, slots, moves
        self._sections = [s for s in sections if s.data]
        self._texts = [Text(s, self) for s in self._sections if s.code]

    def text(self, number: int) -> Text:
        """Of the section with that number."""
        return next(text for text in self._texts if text.section.number == number)

    def texts(self, address: int) -> list[Text]:
        """More than one where sections lie over each other (overlays)."""
        return [t for t in self._texts if t.section.start <= address < t.section.end]

    def elsewhere(self, asking: Text, address: int) -> Instruction | None:
        """What a branch out of a section meets; None where that is not one place."""
        others = [text for text in self.texts(address) if text is not asking]
        return others[0][address] if len(others) == 1 and not address % 4 else None

    def is_code(self, value: Value) -> bool:
        """May it be the address of an instruction?"""
        known = value.kind == "address" or (value.kind == "number" and not self._moves)
        return known and value.number % 4 == 0 and bool(self.texts(value.number))

    def fetch(self, address: int, mnemonic: str) -> Value | None:
        """What a load from here finds, if every run finds the same."""
        size = WORDS[mnemonic]
        slot = self.slots.get(address) if size == 8 else None
        if isinstance(slot, str):
            return Value("slot", address)
        homes = [s for s in self._sections if s.start <= address and address + size <= s.end]
        # What the loader puts into .data is only the first value there.
        if len(homes) != 1 or not homes[0].fixed:
            return None
        if slot is not None:
            return Value("address", slot)
        at = address - homes[0].start
        number = int.from_bytes(homes[0].data[at : at + size], "little", signed=size == 4)
        return Value("number", number % (1 << 64))

    def holds_code(self, address: int) -> bool:
        """Does an address of code stand there when the program starts?"""
        slot = self.slots.get(address)
        if slot is not None:
            return isinstance(slot, str) or bool(self.texts(slot))
        homes = (s for s in self._sections if s.start <= address and address + 8 <= s.end)
        return any(
            bool(self.texts(int.from_bytes(s.data[address - s.start :][:8], "little")))
            for s in homes
        )

    def pointers(self) -> Iterator[int]:
        """Addresses of data that stand as constants in data."""
        low = min((s.start for s in self._sections), default=0)
        high = max((s.end for s in self._sections), default=0)
        yield from (slot for slot in self.slots.values() if isinstance(slot, int))
        for section in () if self._moves else self._sections:
            if not section.code:
                yield from (word for word in _words(section) if low <= word < high + (1 << 24))

    def words(self) -> Iterator[int]:
        """Addresses of code that stand as constants in data. Where an image may be loaded anywhere
        there can be none."""
        for section in () if self._moves else self._sections:
            if not section.code:
                yield from self._addresses(_words(section))

    def _addresses(self, words: list[int]) -> Iterator[int]:
        low = min((t.section.start for t in self._texts), default=0)
        high = max((t.section.end for t in self._texts), default=0)
        for word in {w for w in words if low <= w < high and not w % 4}:
            if self.texts(word):
                yield word


def _words(section: Section) -> list[int]:
    skew = -section.start % 8
    whole = section.data[skew : len(section.data) - (len(section.data) - skew) % 8]
    return memoryview(whole).cast("Q").tolist()
