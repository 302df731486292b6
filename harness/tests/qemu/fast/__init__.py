"""Tests of harness/qemu/fast."""
