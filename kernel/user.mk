# The EL0 programs: every .c in kernel/user is one, linked at an address of its own, and all of them are the
# initrd that goes into the kernel. Included by kernel/build.mk.

PYTHON ?= python3
USER_SOURCES := $(sort $(wildcard kernel/user/*.c))
USER_NAMES := $(USER_SOURCES:kernel/user/%.c=%)
USER_PROGRAMS := $(USER_NAMES:%=$(BUILD)/user/%)
INITRD := $(BUILD)/user/initrd.cpio

# As the kernel's, for a backtrace that crosses into them; no canary, as TPIDR_EL1 is not theirs.
USER_CFLAGS := -std=gnu11 -O2 -g -ffreestanding -fno-pie -fno-common \
	-mgeneral-regs-only -mno-outline-atomics -fno-jump-tables -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fno-unwind-tables -Wall -Wextra -Werror -Wmissing-prototypes \
	-Wstrict-prototypes -Wshadow -fno-omit-frame-pointer -mno-omit-leaf-frame-pointer \
	-fno-optimize-sibling-calls -fno-delete-null-pointer-checks $(LAYOUT_FLAGS)

$(BUILD)/kernel/user/%.c.o: kernel/user/%.c kernel/user.mk $(BUILD)/kernel.flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	@$(COMPILE) $(KERNEL_CPPFLAGS) $(KERNEL_DEPENDS) $(USER_CFLAGS) $(PREFIX_MAP) -c $< -o $@
	@printf '{"directory": "%s", "file": "%s", "command": "%s"}\n' '$(CURDIR)' '$<' \
		'$(COMPILE) $(KERNEL_CPPFLAGS) $(USER_CFLAGS) -c $< -o $@' > $@.json

# What a compiler may call of its own accord (memcpy, memset). From an archive, so that a program holds it
# only where it is called.
USER_LIBRARY := $(BUILD)/user/library.a

$(USER_LIBRARY): kernel/base/string.c kernel/user.mk $(BUILD)/kernel.flags
	@mkdir -p $(@D)
	@$(COMPILE) $(KERNEL_CPPFLAGS) -MMD -MP -MF $(@:.a=.d) -MT $@ $(USER_CFLAGS) $(PREFIX_MAP) -c $< -o $(@:.a=.o)
	@rm -f $@
	@$(CROSS_COMPILE)ar rcs $@ $(@:.a=.o)

# As kernel.sources; and GDB is given every .elf that lies there.
$(BUILD)/user.sources: FORCE
	@$(call keep,$(USER_SOURCES))
	@rm -f $(filter-out $(USER_PROGRAMS:%=%.elf),$(wildcard $(BUILD)/user/*.elf))

# The n-th program begins at n * 256 MiB. The whole one is GDB's; the initrd's keeps its symbols only.
user_base = $(shell printf '%s\n' $(USER_NAMES) | awk '$$0 == "$(1)" { printf "0x%x0000000", NR }')

$(BUILD)/user/%.elf: $(BUILD)/kernel/user/%.c.o $(BUILD)/kernel/user/start.S.o $(USER_LIBRARY) kernel/user/user.ld $(BUILD)/user.sources
	@mkdir -p $(@D)
	$(call say,LD,$@)
	@$(GNU) -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 \
		-Wl,-z,noexecstack -Wl,--defsym=BASE=$(call user_base,$*) \
		-Wl,-T,kernel/user/user.ld $(filter %.o,$^) $(USER_LIBRARY) -o $@

$(BUILD)/user/%: $(BUILD)/user/%.elf
	@$(CROSS_COMPILE)objcopy --strip-debug $< $@

$(INITRD): $(USER_PROGRAMS) $(BUILD)/user.sources harness/qemu/initrd.py
	$(call say,CPIO,$@)
	@$(PYTHON) harness/qemu/initrd.py $@ $(USER_PROGRAMS)

$(BUILD)/kernel/proc/initrd_default.S.o: $(INITRD)
$(BUILD)/kernel/proc/initrd_default.S.o: KERNEL_CPPFLAGS += -DINITRD='"$(INITRD)"'

# The same kernel as a file that QEMU gives an -initrd to.
$(BUILD)/kernel.img: $(BUILD)/kernel.elf harness/qemu/initrd.py
	@$(PYTHON) harness/qemu/initrd.py --image $@ $<

.SECONDARY: $(USER_NAMES:%=$(BUILD)/user/%.elf) $(USER_SOURCES:%=$(BUILD)/%.o) $(BUILD)/kernel/user/start.S.o

-include $(USER_SOURCES:%=$(BUILD)/%.d) $(BUILD)/user/library.d
