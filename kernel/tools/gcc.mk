# What GCC is told, in its own words. kernel/tools/clang.mk sets the same variables for clang:
#
#   COMPILE          the compiler, with its target
#   LAYOUT_FLAGS     every function is in the backtrace, under its own name and with its frame record
#                    first; no padding inside a function depends on what stands before it in its file
#   PROBE_FLAGS      no frame steps over a 4 KiB guard unprobed; UNPROBED_FLAGS take that back
#   CANARY_FLAGS     the canary is the first word of the current thread (base/current.h)
#   WARNING_FLAGS    what this compiler's -Wall -Wextra says and the others' does not
#   GRAPH_FLAGS      what makes `callgraph` possible
#   ASSEMBLE_FLAGS   what the compiler's own assembly wants beside it
#   FRAME_GATE_FLAG  the warning about a frame that is larger than what follows it
#   callgraph        a command that leaves the call graph and frame sizes of one file in $(@:.o=.ci)

COMPILE := $(CC)
LAYOUT_FLAGS := -fno-shrink-wrap -fno-align-loops -fno-align-jumps -fno-align-labels \
	-fno-ipa-sra -fno-ipa-cp -fno-ipa-icf -fno-partial-inlining
# GCC's own guard is 64 KiB.
PROBE_FLAGS := -fstack-clash-protection --param=stack-clash-protection-guard-size=12
UNPROBED_FLAGS := -fno-stack-clash-protection
CANARY_FLAGS := -fstack-protector-strong -mstack-protector-guard=sysreg \
	-mstack-protector-guard-reg=tpidr_el1 -mstack-protector-guard-offset=0
WARNING_FLAGS :=
GRAPH_FLAGS := -fstack-usage -fcallgraph-info=su,da
ASSEMBLE_FLAGS :=
FRAME_GATE_FLAG := -Wstack-usage=
# -fcallgraph-info writes it.
callgraph := :
