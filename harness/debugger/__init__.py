"""GDB as a child process, driven by its machine interface."""
