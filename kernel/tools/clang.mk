# What clang is told: see kernel/tools/gcc.mk for what each variable is.
#
# The linker, objcopy and readelf stay those of CROSS_COMPILE. One target whatever that is, so that the
# code depends on the compiler alone: one with Linux, as clang probes frames for no bare machine.

COMPILE := $(CC) --target=aarch64-linux-gnu
CLANG_MAJOR := $(firstword $(subst ., ,$(shell $(CC) -dumpversion)))
# It makes no clones and pads no loops. Its addresses' table is for another linker.
LAYOUT_FLAGS := -mllvm -enable-shrink-wrap=false -fno-addrsig
# GDB is to unwind from any instruction, amid a prologue too; .eh_frame is dropped by the linker scripts.
LAYOUT_FLAGS += -fasynchronous-unwind-tables -fforce-dwarf-frame
# For AArch64 it can since 18; before, it refuses the option as unused, and so frames are not probed.
ifeq ($(shell test '$(CLANG_MAJOR)' -ge 18 && echo yes),yes)
PROBE_FLAGS := -fstack-clash-protection -mstack-probe-size=4096
UNPROBED_FLAGS := -fno-stack-clash-protection
endif
# Its driver takes no register but sp_el0, the compiler behind it takes any.
CANARY_FLAGS := -fstack-protector-strong -mstack-protector-guard=sysreg \
	-Xclang -mstack-protector-guard-reg=tpidr_el1 -mstack-protector-guard-offset=0
# It wants the last fields named as well where some are.
WARNING_FLAGS := -Wno-missing-field-initializers
# .debug_aranges tells whose unit a function is of (harness/stackreport).
GRAPH_FLAGS := -fstack-usage -gdwarf-aranges
# It writes some files' names twice, and only once with a checksum, which its assembler finds odd.
ASSEMBLE_FLAGS = -Wa,--no-warn $(filter -march=%,$(KERNEL_CFLAGS))
FRAME_GATE_FLAG := -Wframe-larger-than=
# A file without a function has no .su.
callgraph = : >> $(@:.o=.su); awk -f kernel/tools/callgraph.awk -v unit=$< $(@:.o=.s) $(@:.o=.su) > $(@:.o=.ci)
