"""The one line that makes pytest know scenarios; everything else is harness/plugin.py."""

pytest_plugins = ["harness.plugin"]
