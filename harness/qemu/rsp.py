"""GDB's remote serial protocol, spoken without GDB: as much of it as a sweep needs.

A sweep starts the same machine hundreds of times and changes a word each time. GDB asks QEMU some
twenty questions at every stop and keeps caches that have to be flushed; this asks what it is told
to, at 0.1 ms a packet. Who wants symbols, frames or a transcript takes gdb.py.

Source: the GDB manual, appendix "GDB Remote Serial Protocol". A byte sent while the guest runs
stops it, so no answer is acknowledged (QEMU takes the next packet for that), and nothing is said
until it has stopped.
"""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.deadline import Deadline
from harness.errors import RspError
from harness.owned import Owned

_PACKET = re.compile(rb"\$([^#]*)#[0-9a-f]{2}", re.DOTALL)
_CHUNK = 1024  # bytes of memory a packet; QEMU takes packets of 4096 characters
_RECV = 1 << 16
PC = 32  # x0 to x30 and SP come before it


class Rsp(Owned):
    """`with Rsp(machine.gdb_socket) as stub:` connects, which stops the machine if it runs."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX)
        self._read = b""
        self._physical = False

    def _start(self) -> None:
        self._owned.enter_context(self._socket)
        try:
            self._socket.connect(str(self._path))
        except OSError as error:
            raise RspError("connect", f"nobody is there: {error}") from None

    def read(self, address: int, size: int, deadline: Deadline) -> bytes:
        """`size` bytes of memory; the machine stands still."""
        parts = (
            self._ask(f"m{at:x},{min(_CHUNK, address + size - at):x}", deadline)
            for at in range(address, address + size, _CHUNK)
        )
        return b"".join(bytes.fromhex(part.decode()) for part in parts)

    def write(self, address: int, data: bytes, deadline: Deadline) -> None:
        """Poke memory; the machine stands still. Read back: QEMU says OK where nothing is, too."""
        for at in range(0, len(data), _CHUNK):
            piece = data[at : at + _CHUNK]
            self._ok(f"M{address + at:x},{len(piece):x}:{piece.hex()}", deadline)
        if self.read(address, len(data), deadline) != data:
            raise RspError(f"M{address:x}", "what was written there is not there")

    def register(self, number: int, deadline: Deadline) -> int:
        """x0 to x30 are 0 to 30, SP is 31, PC 32."""
        every = bytes.fromhex(self._ask("g", deadline).decode())
        return int.from_bytes(every[8 * number : 8 * (number + 1)], "little")

    def set_register(self, number: int, value: int, deadline: Deadline) -> None:
        """By all of them: QEMU takes a single one only from who has read its target description."""
        every = bytearray.fromhex(self._ask("g", deadline).decode())
        every[8 * number : 8 * (number + 1)] = value.to_bytes(8, "little")
        self._ok(f"G{every.hex()}", deadline)

    def physical(self, on: bool, deadline: Deadline) -> None:
        """Are the addresses of read and write physical ones? (QEMU's own packet.)"""
        if on != self._physical:
            self._ok(f"Qqemu.PhyMemMode:{on:d}", deadline)
        self._physical = on

    def monitor(self, command: str, deadline: Deadline) -> str:
        """A line of QEMU's human monitor, and what it printed. The stub reads it in one piece; QMP
        reads a byte at a time, with seven system calls for each (7.2).
        """
        packet = f"qRcmd,{command.encode().hex()}"
        said, answer = b"", self._ask(packet, deadline)
        while answer != b"OK":
            if answer[:1] != b"O":
                raise RspError(packet, f"no output, but {answer!r}")
            said += bytes.fromhex(answer[1:].decode())
            answer = self._hear(packet, deadline)
        return said.decode(errors="replace")

    def stop_at(self, address: int, deadline: Deadline) -> None:
        """A breakpoint at an instruction, from now on."""
        self._ok(f"Z0,{address:x},4", deadline)

    def run_to(self, address: int, deadline: Deadline) -> None:
        """To an instruction; RspError when it stops anywhere else."""
        self.stop_at(address, deadline)
        self.run(deadline)
        self._ok(f"z0,{address:x},4", deadline)
        if (pc := self.register(PC, deadline)) != address:
            raise RspError("c", f"expected to come to {address:#x}, but it stands at {pc:#x}")

    def run(self, deadline: Deadline) -> None:
        """Until something stops it: a breakpoint, the end of the boot."""
        answer = self._ask("c", deadline)
        if answer[:1] not in (b"T", b"S"):
            raise RspError("c", f"no stop, but {answer!r}")

    def _ok(self, packet: str, deadline: Deadline) -> None:
        if (answer := self._ask(packet, deadline)) != b"OK":
            raise RspError(packet, f"QEMU answered {answer!r}")

    def _ask(self, packet: str, deadline: Deadline) -> bytes:
        data = packet.encode()
        with self._talking(packet, deadline):
            self._socket.sendall(b"$%s#%02x" % (data, sum(data) & 0xFF))
        return self._hear(packet, deadline)

    def _hear(self, packet: str, deadline: Deadline) -> bytes:
        with self._talking(packet, deadline):
            answer = self._receive(deadline)
        if answer[:1] in (b"E", b""):
            raise RspError(packet, f"QEMU refused: {answer.decode() or 'not supported'}")
        return answer

    @contextmanager
    def _talking(self, packet: str, deadline: Deadline) -> Iterator[None]:
        try:
            self._socket.settimeout(deadline.remaining())
            yield
        except TimeoutError:
            raise RspError(packet, f"no answer within {deadline.seconds:g} s") from None
        except OSError as error:
            raise RspError(packet, f"QEMU is gone: {error}") from None

    def _receive(self, deadline: Deadline) -> bytes:
        while not (found := _PACKET.search(self._read)):
            self._socket.settimeout(deadline.remaining())
            if not (chunk := self._socket.recv(_RECV)):
                raise ConnectionResetError("it closed the socket")
            self._read += chunk
        self._read = self._read[found.end() :]
        return found[1]
