"""Tests of harness/serial."""
