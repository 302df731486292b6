# The kernel: every .c and .S under kernel/ becomes part of build/kernel.elf. No list to edit.
# Included by the Makefile, which sets BUILD, CROSS_COMPILE and `say`. Target: kernel.
#
#   CC   the compiler, where it is another than CROSS_COMPILE's gcc; on make's command line only, since
#        an environment has CC for what is built for this machine

CC := $(CROSS_COMPILE)gcc
COMPILER := $(if $(findstring clang,$(notdir $(CC))),clang,gcc)
include kernel/tools/$(COMPILER).mk
# Whatever compiles C: assembly is GNU as's (clang's forgets .cfi_signal_frame), and GNU ld links.
GNU := $(CROSS_COMPILE)gcc
KERNEL_DIRS := . arch base report light mem proc lab labs labs/*
# LINK_ORDER=reverse is for the test that shows that no golden depends on it.
KERNEL_SOURCES := $(sort $(patsubst kernel/./%,kernel/%,$(foreach d,$(KERNEL_DIRS),$(wildcard kernel/$(d)/*.c kernel/$(d)/*.S))))
KERNEL_OBJECTS := $(KERNEL_SOURCES:%=$(BUILD)/%.o)
ifeq ($(LINK_ORDER),reverse)
KERNEL_LINK := $(shell printf '%s\n' $(KERNEL_OBJECTS) | tac)
else
KERNEL_LINK := $(KERNEL_OBJECTS)
endif

KERNEL_CPPFLAGS := -Ikernel
# Reproducible: nothing of the folder it is built in goes into the image. For the shell of a recipe to expand,
# since the folder's name may have spaces.
PREFIX_MAP := -ffile-prefix-map="$$PWD"=.
KERNEL_CFLAGS := -std=gnu11 -O2 -g -ffreestanding -fno-pie -fno-common \
	-mgeneral-regs-only -ffixed-x18 -mstrict-align -mno-outline-atomics -fno-jump-tables \
	-fno-asynchronous-unwind-tables -fno-unwind-tables
# What a warning would have told.
KERNEL_CFLAGS += -Wall -Wextra -Werror -Wvla -Wmissing-prototypes -Wstrict-prototypes -Wshadow -Wundef
# Every function in the backtrace: no tail calls, and what LAYOUT_FLAGS say.
KERNEL_CFLAGS += -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer -fno-optimize-sibling-calls
KERNEL_CFLAGS += $(LAYOUT_FLAGS) $(PROBE_FLAGS) $(CANARY_FLAGS) $(WARNING_FLAGS) $(GRAPH_FLAGS)
# The frame gate: 1280 bytes is what a function may take. Labs break it on purpose.
FRAME_GATE := $(FRAME_GATE_FLAG)1280
$(BUILD)/kernel/labs/%: FRAME_GATE :=

# labs/stack/stack_shadow.c says what for; x18 is kept free everywhere.
$(BUILD)/kernel/labs/lib/shadowed.c.o: KERNEL_CFLAGS += -fsanitize=shadow-call-stack
# The only file with instructions of FEAT_MTE; it runs none where there is none.
$(BUILD)/kernel/arch/mte.c.o: KERNEL_CFLAGS += -march=armv8.5-a+memtag
# labs/lib/big_frame.h: the twin of probed.c.
$(BUILD)/kernel/labs/lib/unprobed.c.o: KERNEL_CFLAGS += $(UNPROBED_FLAGS)
# labs/stack/descend.h: the last level that is named counts.
$(foreach level,O0 O1 O2 O3 Os,$(eval $(BUILD)/kernel/labs/stack/descend_$(level).c.o: KERNEL_CFLAGS += -$(level)))
# labs/grow/grow_deep.h says what for: one source, four ways to see the end of a stack coming.
$(BUILD)/kernel/labs/grow/grow_patched.c.o: KERNEL_CFLAGS += -fpatchable-function-entry=2
$(BUILD)/kernel/labs/grow/grow_signed.c.o: KERNEL_CFLAGS += -fpatchable-function-entry=2 -mbranch-protection=pac-ret
$(BUILD)/kernel/labs/grow/grow_hooked.c.o: KERNEL_CFLAGS += -finstrument-functions

.PHONY: kernel
kernel: $(BUILD)/kernel.elf $(BUILD)/kernel.img $(BUILD)/compile_commands.json

include kernel/tools/keep.mk

# Objects follow the flags as well as the sources: a changed flag or compiler rebuilds them.
$(BUILD)/kernel.flags: FORCE
	@$(call keep,'$(COMPILE) $(KERNEL_CPPFLAGS) $(KERNEL_CFLAGS)' '$(KERNEL_LDFLAGS)' '$(USER_CFLAGS)' \
		'link order: $(LINK_ORDER)' "$$($(CC) --version)" "$$($(GNU) --version)" "$$($(CROSS_COMPILE)ld --version)")

# What is linked follows which sources there are, too: none of the objects tells of one that is gone.
$(BUILD)/kernel.sources: FORCE
	@$(call keep,$(KERNEL_SOURCES))

# By way of assembly, so that what the compiler knows of its stack can be put behind it: the call graph
# and the frame sizes (kernel/tools/stackinfo.awk), for harness/stackreport and llvm-readelf.
KERNEL_DEPENDS = -MMD -MP -MF $(@:.o=.d) -MT $@

$(BUILD)/%.c.o: %.c kernel/tools/stackinfo.awk kernel/tools/callgraph.awk \
		kernel/tools/$(COMPILER).mk kernel/build.mk $(BUILD)/kernel.flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	@rm -f $(@:.o=.su)
	@$(COMPILE) $(KERNEL_CPPFLAGS) $(KERNEL_DEPENDS) $(KERNEL_CFLAGS) $(PREFIX_MAP) $(FRAME_GATE) -S $< -o $(@:.o=.s)
	@$(callgraph)
	@awk -f kernel/tools/stackinfo.awk -v ci=$(@:.o=.ci) $(@:.o=.ci) >> $(@:.o=.s)
	@$(COMPILE) $(ASSEMBLE_FLAGS) -c $(@:.o=.s) -o $@
	@printf '{"directory": "%s", "file": "%s", "command": "%s"}\n' '$(CURDIR)' '$<' \
		'$(COMPILE) $(KERNEL_CPPFLAGS) $(KERNEL_CFLAGS) -c $< -o $@' > $@.json

$(BUILD)/%.S.o: %.S kernel/build.mk $(BUILD)/kernel.flags
	@mkdir -p $(@D)
	$(call say,AS,$<)
	@$(GNU) $(KERNEL_CPPFLAGS) $(KERNEL_DEPENDS) -g $(PREFIX_MAP) -c $< -o $@

$(BUILD)/kernel/kernel.lds: kernel/kernel.ld $(BUILD)/kernel.flags
	@mkdir -p $(@D)
	@$(GNU) -E -P -x c -D__ASSEMBLER__ $(KERNEL_CPPFLAGS) -MMD -MP -MF $@.d -MT $@ $< -o $@

# Relocations are kept, as they tell whose address is taken (harness/stackreport); nobody else reads them.
# Linked twice: the symbol table of the first goes into the second, behind everything it names, so
# that nothing it names moves; the last line of the recipe proves that.
KERNEL_LDFLAGS := -nostdlib -static -no-pie -Wl,--build-id=sha1 -Wl,-z,max-page-size=4096 \
	-Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -Wl,-T,$(BUILD)/kernel/kernel.lds
KERNEL_READELF := $(CROSS_COMPILE)readelf
KSYMS := $(BUILD)/kernel/ksyms

# The boot path: what runs on the 1 KiB of a boot loader (labs/boot/boot_labs.c) has to fit them, or there is no
# kernel. 1024 bytes but for the guard words and the frame of __stack_chk_fail, which never gets further.
BOOT_PATH := leave_boot_stack stay_light fault_second
BOOT_PATH_BUDGET := 976
# The others overflow it on purpose, or run on a borrowed stack.
BOOT_PATH_WITHOUT := __stack_chk_fail recurse map_by_plan
BOOT_PATH_ASSEMBLY := light_leave=0 light_swap_sp=0 light_borrow=32
$(BUILD)/kernel/boot-path: $(KERNEL_OBJECTS) $(BUILD)/kernel.sources kernel/tools/stackgate.awk
	@awk -f kernel/tools/stackgate.awk -v entries='$(BOOT_PATH)' -v budget=$(BOOT_PATH_BUDGET) \
		-v without='$(BOOT_PATH_WITHOUT)' -v assembly='$(BOOT_PATH_ASSEMBLY)' \
		$(patsubst %.o,%.ci,$(filter %.c.o,$(KERNEL_OBJECTS))) > $@.tmp
	@mv $@.tmp $@

$(BUILD)/kernel.elf: $(KERNEL_OBJECTS) $(BUILD)/kernel.sources $(BUILD)/kernel/kernel.lds $(BUILD)/kernel/boot-path \
		kernel/tools/ksyms.awk
	$(call say,LD,$@)
	@awk -f kernel/tools/ksyms.awk /dev/null > $(KSYMS)-none.S
	@$(GNU) -c $(KSYMS)-none.S -o $(KSYMS)-none.o
	@$(GNU) $(KERNEL_LDFLAGS) $(KERNEL_LINK) $(KSYMS)-none.o -o $(BUILD)/kernel/first.elf
	@$(KERNEL_READELF) -sW $(BUILD)/kernel/first.elf > $(KSYMS).first
	@sort -k2,2 $(KSYMS).first | awk -f kernel/tools/ksyms.awk > $(KSYMS).S
	@$(GNU) -c $(KSYMS).S -o $(KSYMS).o
	@$(GNU) $(KERNEL_LDFLAGS) -Wl,--emit-relocs $(KERNEL_LINK) $(KSYMS).o -o $@.tmp
	@$(CROSS_COMPILE)objcopy --remove-section='.rela.debug*' $@.tmp
	@$(KERNEL_READELF) -sW $@.tmp > $(KSYMS).second
	@sort -k2,2 $(KSYMS).second | awk -f kernel/tools/ksyms.awk | cmp - $(KSYMS).S
	@mv $@.tmp $@

USER_OBJECTS = $(USER_SOURCES:%=$(BUILD)/%.o)
$(BUILD)/compile_commands.json: $(KERNEL_OBJECTS) $(INITRD) $(BUILD)/kernel.sources $(BUILD)/user.sources
	@{ echo '['; cat $(patsubst %,%.json,$(filter %.c.o,$(KERNEL_OBJECTS) $(USER_OBJECTS))) | sed '$$!s/$$/,/'; echo ']'; } > $@

include kernel/user.mk

-include $(KERNEL_OBJECTS:.o=.d) $(BUILD)/kernel/kernel.lds.d
