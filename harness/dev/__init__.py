"""What keeps this project honest: lint, soak, fuzzers, mutants. No run of a kernel needs it."""
