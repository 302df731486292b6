"""The register frames of exceptions: where they are, and which of them a CPU is handling now."""

from .kernel import at, offset_of, unsigned, value


def record_address(frame):
    """Where a frame's record lies: what x29 points at in the handler's oldest frame."""
    return int(frame.address) + offset_of("struct frame", "record")


def emergency_frame(cpu_index):
    """The frame of a fault in a handler of this CPU, or None while there is none."""
    emergency = value("emergency")[cpu_index]
    if not int(emergency["level"]):
        return None
    frame = at("struct frame", 0).type
    # With protect=-emergency it lies below the SP of the handler that faulted.
    place = unsigned(emergency["frame"]) or unsigned(emergency["sp"]) - frame.sizeof
    return at("struct frame", place)


def handled(cpu):
    """The frame of the exception that this CPU handles, or None: it runs a thread."""
    if not cpu.in_handler:
        return None
    return emergency_frame(cpu.index) or cpu.current["frame"]
