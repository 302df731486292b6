"""Tests of harness/verdict."""
