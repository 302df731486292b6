"""The harness's own tests. Those that need a guest boot the tiny broken kernels in machines/."""
