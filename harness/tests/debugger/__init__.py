"""Tests of harness/debugger."""
