"""Tests of harness/run."""
