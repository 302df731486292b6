"""Why boots are quick: QEMU cloned at its main, or living and reset; snapshots. In doubt, cold."""
