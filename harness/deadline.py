"""One moment after which waiting is over, passed down instead of a timeout per call.

Every blocking wait of the harness takes a Deadline, and asks it how long it may take before it
looks at anything. After that moment `remaining` raises: no wait begins any more, and an answer that
is there already is not taken. (Otherwise whether a late one is told as late would be a race between
it and us.) The wall clock is only a backstop: what a guest may use is bounded in guest time, by the
guest.
"""

import time

from harness.errors import DeadlinePassed


class Deadline:
    """`seconds` from now, on the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left, more than none: fit for any timeout= parameter. DeadlinePassed if none."""
        if (left := self._left()) == 0.0:
            raise DeadlinePassed(self.seconds)
        return left

    @property
    def expired(self) -> bool:
        return self._left() == 0.0

    def at_most(self, seconds: float) -> "Deadline":
        """This deadline, or `seconds` from now if that is sooner: for one step of a longer wait."""
        return Deadline(min(seconds, self._left()))

    def _left(self) -> float:
        return max(0.0, self._end - time.monotonic())

    def __repr__(self) -> str:
        return f"Deadline({self.seconds:g} s, {self._left():.3f} s left)"
