"""One QEMU and its lines: serial port, monitor, GDB's stub. It leaves nothing when it ends."""
