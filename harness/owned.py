"""What machine, GDB and session have in common: `with` starts it, and leaves nothing of it."""

from contextlib import ExitStack
from types import TracebackType
from typing import Self


class Owned:
    """A context manager whose parts are in `_owned`. A subclass has _start(), which fills it."""

    def __init__(self) -> None:
        self._owned = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:  # an interrupted start must leave nothing behind
            self._owned.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._owned.__exit__(kind, error, trace)

    def close(self) -> None:
        """End what still runs. What was logged stays readable."""
        self._owned.close()

    def _start(self) -> None:
        raise NotImplementedError
