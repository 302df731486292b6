"""One case run whole: boot, trigger, a look by GDB, verdict, and the folder of what is left."""
