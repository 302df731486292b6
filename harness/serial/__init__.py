"""What came out of a boot, read: serial log, exception log, symbols. No machine is needed."""
