# What runs on the machine that builds. The fuzzers: kernel files as they stand, under libFuzzer, ASan and
# UBSan; harness/dev/fuzz.py makes them: make -f harness/host/build.mk build/host/fuzz_cmdline
# And what is loaded into QEMU (harness/qemu/fast/starter.py, harness/qemu/machine.py), which `make build` makes.

BUILD ?= build
HOST_CC ?= clang
HOST := $(BUILD)/host
HOST_WARNINGS := -Wall -Wextra -Werror -Wvla -Wmissing-prototypes -Wstrict-prototypes -Wshadow
HOST_CFLAGS := -std=gnu11 -O1 -g $(HOST_WARNINGS) -fno-omit-frame-pointer \
	-fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
HOST_INCLUDES := -Iharness/host -Iharness/host/include -Ikernel

MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:

include kernel/tools/keep.mk

$(BUILD)/host.flags: FORCE
	@$(call keep,'$(HOST_INCLUDES) $(HOST_CFLAGS)' "$$($(HOST_CC) --version)")

SHARED := -std=gnu11 -O2 -fPIC -shared -fvisibility=hidden $(HOST_WARNINGS)
PLUGINS := $(BUILD)/limit.so $(BUILD)/cover.so
PLUGINS_7 := $(PLUGINS:.so=-7.so)

$(BUILD)/starter.so $(PLUGINS): $(BUILD)/%.so: harness/host/%.c harness/host/plugin.h harness/host/build.mk $(BUILD)/host.flags
	@mkdir -p $(@D)
	@$(HOST_CC) $(SHARED) -o $@.new $<
	@mv $@.new $@

$(PLUGINS_7): $(BUILD)/%-7.so: harness/host/%.c harness/host/plugin.h harness/host/build.mk $(BUILD)/host.flags
	@mkdir -p $(@D)
	@$(HOST_CC) $(SHARED) -DPLUGIN_API=7 -o $@.new $<
	@mv $@.new $@

$(HOST)/host.o: harness/host/host.c harness/host/build.mk $(BUILD)/host.flags
	@mkdir -p $(@D)
	@$(HOST_CC) $(HOST_INCLUDES) $(HOST_CFLAGS) -MMD -MP -c $< -o $@

$(HOST)/fuzz_%: harness/host/fuzz_%.c $(HOST)/host.o
	@$(HOST_CC) $(HOST_INCLUDES) $(HOST_CFLAGS) -MMD -MP -MF $@.d -MT $@ $< $(HOST)/host.o -o $@

# A mutant, cmdline.count say: mutants/cmdline.count/ holds the changed file and comes first. A bug may
# leave a variable unused: no warnings. It runs for a moment only: no optimization.
$(HOST)/mutants/%/fuzz: $(HOST)/host.o
	@$(HOST_CC) -I$(@D) $(HOST_INCLUDES) $(HOST_CFLAGS) -w -O0 -g0 -MMD -MP -MF $@.d -MT $@ \
		harness/host/fuzz_$(firstword $(subst ., ,$*)).c $(HOST)/host.o -o $@

-include $(wildcard $(HOST)/*.d $(HOST)/mutants/*/*.d)
