"""QEMU's machine protocol over the drained channel: one JSON object a line, each answer found by
its id.

The handshake is made at the first use, never before: QEMU 7.2 hangs in its own cleanup
(monitor_cleanup waits for the QMP dispatcher for ever) when the guest powers off while a command is
in flight. A handshake at every start hung one machine in a hundred. So talk to a machine that is
stopped, or that cannot end at this moment, or that is about to be killed anyway.
"""

import itertools
import json
import threading
from typing import Any

from harness.deadline import Deadline
from harness.errors import QmpError
from harness.qemu.channel import Channel, Lines

_SECONDS = 5.0
_HELLO = 0  # the id of qmp_capabilities


class Qmp:
    """One QMP session. `events` grows; `execute` may be called from any thread."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._lines = Lines(channel)
        self._ids = itertools.count(_HELLO + 1)
        self._lock = threading.RLock()
        self._greeting: dict[str, Any] = {}
        self._events: list[dict[str, Any]] = []
        self._answers: dict[int, dict[str, Any]] = {}
        self._greeted = self._shaken = False

    @property
    def events(self) -> tuple[dict[str, Any], ...]:
        """Every event since the handshake, as QEMU sent it; does not wait."""
        with self._lock:
            self._pull()
            return tuple(self._events)

    def count(self, name: str) -> int:
        """How many events of this name there were so far. Asks nothing: of a machine that stands
        still, and whose stub has answered since, all.
        """
        self._channel.settle()
        return sum(event["event"] == name for event in self.events)

    def greeting(self, deadline: Deadline | None = None) -> dict[str, Any]:
        """Shake hands, once; what QEMU said first: its version and capabilities."""
        deadline = deadline or Deadline(_SECONDS)
        with self._lock:
            if not self._greeted:
                self._greeted = True
                self._send("qmp_capabilities", _HELLO, {}, deadline)
            if not self._shaken:
                self._wait_answer("qmp_capabilities", _HELLO, deadline)
                self._shaken = True
            return self._greeting

    def execute(self, command: str, /, deadline: Deadline | None = None, **arguments: Any) -> Any:
        """Run one command and return what it returns. Names with a dash: **{"command-line": …}."""
        deadline = deadline or Deadline(_SECONDS)
        with self._lock:
            self.greeting(deadline)
            ident = next(self._ids)
            self._send(command, ident, arguments, deadline)
            return self._wait_answer(command, ident, deadline)["return"]

    def wait_event(self, name: str, deadline: Deadline) -> dict[str, Any]:
        """The first event of this name since the handshake; waits for it."""
        with self._lock:
            self.greeting(deadline)
            while not (found := [e for e in self.events if e["event"] == name]):
                if self._channel.ended or not self._lines.wait_more(deadline):
                    why = "QEMU has ended" if self._channel.ended else "the deadline passed"
                    raise QmpError(f"event {name}", error_class="NoEvent", desc=why)
            return found[0]

    def hmp(self, line: str, deadline: Deadline | None = None) -> str:
        """A line of the human monitor ("info registers") and what it prints."""
        answer = self.execute("human-monitor-command", deadline, **{"command-line": line})
        return str(answer)

    def _send(
        self, command: str, ident: int, arguments: dict[str, Any], deadline: Deadline
    ) -> None:
        request = {"execute": command, "id": ident, "arguments": arguments}
        try:
            self._channel.send(json.dumps(request).encode() + b"\n", deadline)
        except OSError as broken:  # TimeoutError is one
            raise QmpError(command, error_class="NotSent", desc=str(broken)) from None

    def _wait_answer(self, command: str, ident: int, deadline: Deadline) -> dict[str, Any]:
        while deadline.expired or not self._has_answer(ident):
            if not self._lines.wait_more(deadline):
                raise QmpError(
                    command, error_class="Timeout", desc=f"no answer in {deadline.seconds:g} s"
                )
            if self._channel.ended and not self._has_answer(ident):
                raise QmpError(command, error_class="Disconnected", desc="QEMU has ended")
        answer = self._answers[ident] if ident == _HELLO else self._answers.pop(ident)
        if error := answer.get("error"):
            raise QmpError(command, error_class=error["class"], desc=error["desc"])
        return answer

    def _has_answer(self, ident: int) -> bool:
        self._pull()
        return ident in self._answers

    def _pull(self) -> None:
        """File every whole line that has arrived."""
        for line in self._lines.take():
            self._file(json.loads(line))

    def _file(self, message: dict[str, Any]) -> None:
        if "event" in message:
            self._events.append(message)
        elif "QMP" in message:
            self._greeting = message["QMP"]
        else:
            self._answers[message.get("id", -1)] = message
