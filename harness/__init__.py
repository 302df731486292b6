"""The pytest harness of Highwater: boots the kernel in QEMU, breaks it, and judges what came out.

Directions (checked by `make lint`): scenarios -> plugin -> machine | gdb | golden -> console | log
| canon | symbols -> errors. log, canon, symbols and golden are pure: they import no subprocess,
socket or threading.
"""
