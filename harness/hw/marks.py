"""What the kernel writes into a fresh stack: guard words at the bottom, paint above them."""

from dataclasses import dataclass

from .kernel import elements, unsigned, value


@dataclass(frozen=True)
class Marks:
    """guard: the guard words; paint: None with protect=-watermark."""

    guard: tuple
    paint: int | None

    def of(self, stack):
        """Guard words lie at the end of what a stack can become: one that still grows has none."""
        return Marks((), self.paint) if stack.room else self

    def guard_ok(self, content):
        return content[: len(self.guard)] == self.guard

    def used(self, content):
        """Bytes from the top down to the lowest that is not paint, as stack_high_watermark()."""
        if self.paint is None:
            return None
        if not self.guard_ok(content):
            return len(content) * 8
        above = content[len(self.guard) :]
        untouched = next((n for n, word in enumerate(above) if word != self.paint), len(above))
        return (len(above) - untouched) * 8


def content(stack):
    """All of a stack's words, lowest first. Below a hole something was touched: none is paint."""
    if stack.unbacked:
        return (0,) * (stack.size // 8)
    return stack.words(stack.base, stack.size)


def marks():
    """The kernel's own (struct stack_marks, base/stack.h)."""
    known = value("stack_marks")
    guard = tuple(unsigned(word) for word in elements(known["guard_words"]))
    painted = not value("protect_off")[value("PROTECT_WATERMARK")]
    return Marks(guard, unsigned(known["paint"]) if painted else None)
