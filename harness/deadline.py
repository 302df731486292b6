"""One moment after which waiting is over, passed down instead of a timeout per call.

Every blocking wait of the harness takes a Deadline. The wall clock is only a backstop: what a guest
may use is bounded in guest time, by the guest.
"""

import time


class Deadline:
    """`seconds` from now, on the monotonic clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left, never negative: fit for any timeout= parameter."""
        return max(0.0, self._end - time.monotonic())

    @property
    def expired(self) -> bool:
        return self.remaining() == 0.0

    def at_most(self, seconds: float) -> "Deadline":
        """This deadline, or `seconds` from now if that is sooner: for one step of a longer wait."""
        return Deadline(min(seconds, self.remaining()))

    def __repr__(self) -> str:
        return f"Deadline({self.seconds:g} s, {self.remaining():.3f} s left)"
