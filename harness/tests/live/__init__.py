"""Tests of harness/live."""
