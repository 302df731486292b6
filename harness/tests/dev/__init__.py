"""Tests of harness/dev."""
