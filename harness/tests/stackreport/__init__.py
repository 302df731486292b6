"""Tests of harness/stackreport: its parts on small programs, then on the kernel."""
