"""A person at the machine: make run, debug, replay; what is printed while it runs."""
