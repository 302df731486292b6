"""Tests of harness/documents."""
