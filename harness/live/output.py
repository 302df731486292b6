"""Rich, for readers that may go (`make list | head`): the same end as that of every command."""

from rich.console import Console


class Output(Console):
    def on_broken_pipe(self) -> None:
        """Rich would leave with status 1; while_read() has one answer for every command."""
        raise BrokenPipeError
