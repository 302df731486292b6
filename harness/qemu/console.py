"""The serial port as pexpect sees it: matching over the drained log, typing into the guest. Bytes
mode.

No thread, no descriptor and no sleep of its own: the drain thread has every byte already, and this
only keeps an offset. What was printed before an expect began is matched too; `serial` is the whole
log, for "must never appear". End a pattern that takes a number with the newline: a greedy group
matches partially at the end of what has arrived.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pexpect import EOF, TIMEOUT
from pexpect.spawnbase import SpawnBase

from harness.deadline import Deadline
from harness.qemu.channel import Channel

if TYPE_CHECKING:

    class _Spawn(SpawnBase[bytes]):
        """What the published types leave out or the run time cannot subscript."""

        def _log(self, s: bytes, direction: str) -> None: ...

else:
    _Spawn = SpawnBase


class Console(_Spawn):
    """expect, expect_exact, before/after/match as in pexpect; send and sendline type."""

    def __init__(self, channel: Channel, timeout: float = 30.0) -> None:
        super().__init__(timeout=timeout, maxread=1 << 16)
        self.delayafterread = None  # pexpect would sleep after every read
        self.name = channel.name
        self._channel = channel
        self._taken = 0

    @property
    def serial(self) -> bytes:
        """Every byte the guest has printed so far."""
        return self._channel.after(0)

    def read_nonblocking(self, size: int = 1, timeout: float | None = -1) -> bytes:
        """Up to `size` bytes, waiting for the first; pexpect's expect loop calls this.

        -1 and None mean the console's own timeout: nothing waits for ever.
        """
        deadline = self._deadline(timeout)
        if not self._channel.wait_beyond(self._taken, deadline):
            raise TIMEOUT(f"the guest printed nothing within {deadline.seconds:g} s")
        chunk = self._channel.after(self._taken, size)
        if not chunk:
            self.flag_eof = True
            raise EOF("the serial port was closed: QEMU has ended")
        self._taken += len(chunk)
        self._log(chunk, "read")
        return chunk

    def follow(self, every: float | None = None) -> Iterator[bytes]:
        """All that comes, as it comes, until QEMU has ended: for a person, who may take long. With
        `every`, nothing is given after so many seconds of silence.
        """
        while True:
            arrived = self._channel.wait_beyond(self._taken, Deadline(every) if every else None)
            chunk = self._channel.after(self._taken)
            if arrived and not chunk:
                return
            self._taken += len(chunk)
            yield chunk

    def send(self, data: bytes, timeout: float = -1) -> int:
        """Type data. TIMEOUT when the guest does not read it, EOF when there is no guest."""
        try:
            self._channel.send(data, self._deadline(timeout))
        except TimeoutError as slow:
            raise TIMEOUT(str(slow)) from None
        except OSError as gone:
            raise EOF(f"nobody reads the serial port: {gone}") from None
        self._log(data, "send")
        return len(data)

    def sendline(self, line: bytes = b"", timeout: float = -1) -> int:
        return self.send(line + b"\n", timeout)

    def _deadline(self, timeout: float | None) -> Deadline:
        given = timeout is not None and timeout >= 0
        return Deadline(timeout if given and timeout is not None else self.timeout or 0.0)
