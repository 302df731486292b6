"""Tests of harness/qemu."""
