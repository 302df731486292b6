# Highwater's front door: every command that a person or a CI machine types. `make help` lists them.
#
# The kernel is built by kernel/build.mk, what runs beside QEMU by harness/host/build.mk; both are
# included below. What is more than one line of work lives in harness/. Here stand the order of the
# steps, and the variables that a user sets:
#
#   LAB            what run and debug boot, as on the boot line: LAB='stack.recurse stack=16K'
#   SCENARIO       what they boot instead, by pytest's name: SCENARIO=recurse-gdb
#   SMP, CPU, MEM, MTE   run, debug: the machine, where it is to be another: SMP=2 CPU=max MEM=256M MTE=1
#   REVERSE, TUI   debug: record first, so that GDB can go back; GDB's own text interface
#   CAPSULE        the folder of a failed scenario, for replay
#   ONLY           a pytest -k expression, for test, golden, soak: ONLY='recurse and not gdb'
#   TIMES          how often soak runs each scenario (50)
#   FUZZ, SECONDS  one fuzzer instead of all, and how long each runs: FUZZ=cmdline SECONDS=60
#   SEED           where FUZZ=stackreport begins: what a failure prints, to see it again
#   OLD            an older stack-report.json, for stack-report to compare with
#   DOCS           a document whose tables stack-report or bench rewrites: DOCS=docs/stack-report.md
#   PART, ROUNDS   what bench measures instead of everything, and how often: PART=scenario ROUNDS=51
#   FILES, COUNT   mutants: of which files (kernel/mem 'harness/*.py'), and how many (50)
#   SEED, TESTS    mutants: which of them (1), and the tests to try them on (all)
#   RELEASE        what fresh tries: bookworm, trixie, sid
#   CC             the kernel's compiler: clang, clang-19, aarch64-linux-gnu-gcc-14 (CROSS_COMPILE's gcc)
#   BUILD          where everything made goes (build; with CC, build/ and CC's name)
#   CROSS_COMPILE  the toolchain's prefix (Arm's own, where it is on PATH)

# Each compiler that make is given has a folder of its own.
ifeq ($(origin CC),command line)
ifneq ($(words $(CC)),1)
$(error CC='$(CC)' must be one compiler, without options. Type: make CC=clang)
endif
given_cc := $(notdir $(CC))
export KERNEL_CC := $(CC)
else
override KERNEL_CC :=
endif
BUILD ?= build$(if $(given_cc),/$(given_cc))
ifneq ($(words $(BUILD)),1)
$(error BUILD='$(BUILD)' must be one folder, without spaces. Type: make BUILD=build)
endif
# What make, the shell or Python's venv takes for something else than a letter; spaces they do not.
unfit := $(strip $(foreach letter,' " ` \ : ; % $$,$(findstring $(letter),$(CURDIR))))
ifneq ($(unfit),)
$(error $(CURDIR) has a $(unfit) in its name, which the build cannot have. Move the checkout to another folder)
endif
VENV := .venv/bin
PYTHON := $(VENV)/python
JOBS   := $(shell nproc)

ifndef CROSS_COMPILE
CROSS_COMPILE := $(if $(shell command -v aarch64-none-elf-gcc),aarch64-none-elf-,aarch64-linux-gnu-)
endif

# For harness/: through the environment, so that no shell ever splits or expands them.
export BUILD CROSS_COMPILE LAB ONLY SCENARIO CAPSULE TIMES SEED SMP CPU MEM MTE

.DEFAULT_GOAL := build
.DELETE_ON_ERROR:
.SUFFIXES:
# A -j of the user's own wins over this one.
MAKEFLAGS += -j$(JOBS) --no-builtin-rules --no-print-directory

# One line a step, in colour on a terminal: $(call say,CC,main.c)
ifneq ($(MAKE_TERMOUT),)
ifndef NO_COLOR
say = @printf '  \033[36m%-7s\033[0m %s\n' '$(1)' '$(2)'
endif
endif
say ?= @printf '  %-7s %s\n' '$(1)' '$(2)'

goals := $(or $(MAKECMDGOALS),$(.DEFAULT_GOAL))
flags := $(filter-out -%,$(firstword $(MAKEFLAGS)))

# Set-up comes before kernel/build.mk is read, since that may ask the compiler something. It does
# not come with -n or -q: a shell that completes `make <Tab>` runs those, and must not install.
ifneq ($(filter-out help clean fresh,$(goals)),)
ifeq ($(findstring n,$(flags))$(findstring q,$(flags)),)
# Before GNU make 4.4 a shell function does not see what is exported.
quoted_prefix := '$(subst ','\'',$(CROSS_COMPILE))'
quoted_cc := '$(subst ','\'',$(KERNEL_CC))'
ifneq ($(shell CROSS_COMPILE=$(quoted_prefix) KERNEL_CC=$(quoted_cc) harness/setup.sh >&2; echo $$?),0)
$(error set-up failed, see above)
endif
ifneq ($(shell mkdir -p $(BUILD) && test -w $(BUILD); echo $$?),0)
$(error $(BUILD) cannot be written. Name a folder that can: make BUILD=/tmp/highwater)
endif
endif
# ONLY is looked at before anything is built; soak and golden have the scenarios alone.
ifneq ($(and $(ONLY),$(filter test golden soak,$(goals))),)
ifeq ($(findstring n,$(flags))$(findstring q,$(flags)),)
only_folders := scenarios $(if $(filter test,$(goals)),harness/tests)
ifneq ($(shell $(PYTHON) -m harness.run.only '$(subst ','\'',$(ONLY))' $(only_folders) >&2; echo $$?),0)
$(error ONLY selects no test, see above)
endif
endif
endif
include kernel/build.mk
include harness/host/build.mk
endif

# `make clean test` means one after the other.
ifneq ($(filter clean,$(goals)),)
.NOTPARALLEL:
endif

.PHONY: fresh bench build demo test soak fuzz run list debug replay stack-report golden docs traces mutants lint format setup clean help

build: kernel $(BUILD)/starter.so $(PLUGINS) $(PLUGINS_7) ## the kernel image, build/kernel.elf (the default)

demo: build ## overflow a stack in QEMU; the log, GDB's view of it, the verdict
	@$(PYTHON) -m harness.cli demo

test: build lint ## every check: lint, harness tests, all scenarios against goldens [ONLY=…]
	$(call say,TEST,$(or $(ONLY),everything))
	@$(PYTHON) -m pytest -n $(JOBS) $(if $(ONLY),-k "$$ONLY")

soak: build ## every scenario TIMES times, until one fails [ONLY=… TIMES=50]
	@$(PYTHON) -m harness.dev.soak "$$ONLY" "$${TIMES:-50}" $(JOBS)

fuzz: ## parsers, allocators (ASan, UBSan) and the stack report, at length [FUZZ=… SECONDS=… SEED=…]
	@$(PYTHON) -m harness.dev.fuzz "$(FUZZ)" "$(or $(SECONDS),60)"

mutants: build ## small faults put into the code: which live? [FILES=… COUNT=50 SEED=1 TESTS=… DOCS=…]
	@$(PYTHON) -m harness.dev.mutants --files '$(FILES)' --tests '$(TESTS)' --jobs $(JOBS) \
		$(if $(COUNT),--count '$(COUNT)') $(if $(SEED),--seed '$(SEED)') $(if $(DOCS),--docs '$(DOCS)')

run: build ## boot once, serial on the terminal: make run LAB='stack.recurse stack=16K' | SCENARIO=… [SMP=2 CPU=max MEM=256M MTE=1]
	@$(PYTHON) -m harness.cli run $(machine) $(if $(SCENARIO),--scenario "$$SCENARIO",-- "$$LAB")

# Whether a value is one, harness/live/wanted.py says.
machine = $(foreach name,SMP CPU MEM MTE,$(if $($(name)),--$(call lower,$(name))="$$$(name)"))
lower = $(subst SMP,smp,$(subst CPU,cpu,$(subst MEM,mem,$(subst MTE,mte,$(1)))))

list: build ## the labs, their parameters and the protections, as the kernel tells them
	@$(PYTHON) -m harness.cli list

debug: build ## the same in GDB, stopped: make debug LAB=… | SCENARIO=… [SMP=… CPU=… MEM=… MTE=1] [REVERSE=1] [TUI=1]
	@$(PYTHON) -m harness.cli debug $(debug_options) $(machine) $(if $(SCENARIO),--scenario "$$SCENARIO",-- "$$LAB")

debug_options = $(if $(REVERSE),--reverse) $(if $(TUI),--tui)

# Not built first: the image must be the one that failed.
replay: ## a failed scenario in GDB, at its fault: make replay CAPSULE=build/artifacts/…
	@$(PYTHON) -m harness.cli replay "$$CAPSULE"

bench: build $(BUILD)/floor.elf ## what a scenario costs beside QEMU's floor; build/bench.json [ROUNDS=… PART=… DOCS=…]
	@$(PYTHON) -m harness.bench $(if $(ROUNDS),--rounds '$(ROUNDS)') $(if $(PART),--only '$(PART)') $(if $(DOCS),--docs '$(DOCS)')

# The least that QEMU can be asked to do: the measure of all the rest.
$(BUILD)/floor.elf: harness/tests/machines/floor.S $(BUILD)/kernel.flags
	@mkdir -p $(@D)
	@$(GNU) -nostdlib -static -Wl,-Ttext=0x40200000,-z,max-page-size=4096,--build-id=none -o $@ $<

stack-report: build ## how deep each stack can get: text, build/stack-report.{json,html} [OLD=….json]
	@$(PYTHON) -m harness.stackreport --elf $(BUILD)/kernel.elf --notes kernel/stack-notes.toml \
		--marks golden --json $(BUILD)/stack-report.json --html $(BUILD)/stack-report.html \
		$(if $(OLD),--diff '$(OLD)') $(if $(DOCS),--docs '$(DOCS)')

golden: build ## accept what the scenarios print now as golden, show the diff, write the pages [ONLY=…]
	@$(PYTHON) -m pytest scenarios -q --no-header --tb=no --golden-exact --golden-accept $(accepting) || { \
		status=$$?; [ $$status -ne 5 ] || echo "ONLY='$$ONLY' selects no scenario; see pytest --co -q" >&2; \
		exit $$status; }
	@$(PYTHON) -m harness.documents.pages --golden || :

# Orphans are known, and removed, only after a run of everything in one process.
accepting = $(if $(ONLY),-n $(JOBS) -k "$$ONLY",--golden-orphans=$(BUILD)/golden-orphans)

docs: build ## the parts of docs/ that are made from rows, goldens and the image [ONLY=a page]
	@$(PYTHON) -m harness.documents.pages $(ONLY)

traces: build ## record the kernel's own allocations again, by GDB: kernel/labs/mem/trace_recorded.h
	@$(PYTHON) -m harness.dev.traces

# Not built first: it is about a machine that has nothing yet.
fresh: ## the README's commands on a bare Debian, as root: make fresh RELEASE=trixie
	@harness/dev/fresh.sh '$(RELEASE)'

setup: ## install what is missing (every other target does so by itself)

# --- lint: each line is one check, and all run side by side ---------------------------------------

c_files := $(wildcard kernel/*/*.c)
headers := $(wildcard kernel/*/*.h)
# Assembler macros in a header's clothes: clang-format takes them for C.
host_c_files := $(wildcard harness/host/*.c)
host_headers := $(wildcard harness/host/*.h harness/host/include/*/*.h)
stackfuzz_files := $(wildcard harness/dev/stackfuzz/*.c)
formatted := $(c_files) $(stackfuzz_files) $(filter-out kernel/arch/asm.h,$(headers)) $(host_c_files) $(host_headers)
scripts := harness/setup.sh harness/dev/fresh.sh .ci/run
python_roots := harness conftest.py scenarios
checks := lint-format lint-tidy lint-ruff lint-types lint-shell lint-directions

.PHONY: $(checks)

lint: $(checks) ## formats, likely bugs, types, shell scripts, dependency directions

lint-format:
	$(call say,LINT,clang-format)
	@$(VENV)/clang-format --dry-run -Werror $(formatted) || { echo 'to repair: make format' >&2; exit 1; }

lint-ruff:
	$(call say,LINT,ruff)
	@$(PYTHON) -m ruff check --quiet --output-format concise
	@$(PYTHON) -m ruff format --quiet --check || { echo 'to repair: make format' >&2; exit 1; }

lint-types:
	$(call say,LINT,mypy --strict)
	@$(PYTHON) -m mypy --no-error-summary $(python_roots)

lint-shell:
	$(call say,LINT,shellcheck)
	@for script in $(scripts); do bash -n $$script || exit 1; done
	@shellcheck $(scripts)

lint-directions:
	$(call say,LINT,directions)
	@$(PYTHON) -m harness.dev.lint

# PyPI's clang-tidy brings no headers of the compiler's own (stddef.h …): the host's clang has them.
CLANG_HEADERS = $(shell $(HOST_CC) -print-resource-dir)/include

# clang-tidy costs seconds, so a file is looked at again only when it or a header has changed.
tidied := $(c_files:kernel/%.c=$(BUILD)/lint/%.tidied)

host_tidied := $(host_c_files:harness/host/%.c=$(BUILD)/lint/host/%.tidied)

lint-tidy: $(tidied) $(host_tidied)
	$(call say,LINT,clang-tidy)

$(tidied): $(headers) .clang-tidy $(BUILD)/lint/compile_commands.json
$(tidied): $(BUILD)/lint/%.tidied: kernel/%.c
	@mkdir -p $(@D)
	@$(VENV)/clang-tidy --quiet -p $(BUILD)/lint $< 2>$@.stderr || { cat $@.stderr >&2; exit 1; }
	@touch $@

$(host_tidied): $(headers) $(host_headers) .clang-tidy
$(host_tidied): $(BUILD)/lint/host/%.tidied: harness/host/%.c
	@mkdir -p $(@D)
	@$(VENV)/clang-tidy --quiet $< -- -std=gnu11 -isystem $(CLANG_HEADERS) -Iharness/host -Iharness/host/include -Ikernel \
		2>$@.stderr || { cat $@.stderr >&2; exit 1; }
	@touch $@

$(BUILD)/lint/compile_commands.json: $(BUILD)/compile_commands.json harness/dev/tidyflags.py
	@mkdir -p $(@D)
	@$(PYTHON) -m harness.dev.tidyflags $< $@ $(CLANG_HEADERS)

format: ## lay out C and Python the way lint wants it
	@$(VENV)/clang-format -i $(formatted)
	@$(PYTHON) -m ruff check --quiet --fix-only
	@$(PYTHON) -m ruff format --quiet

clean: ## remove what was made (not .venv)
	@case '$(CURDIR)/' in '$(abspath $(BUILD))'/*) \
		echo 'BUILD=$(BUILD) holds this checkout: not removed' >&2; exit 1;; esac
	@rm -rf -- '$(BUILD)'

help: ## this list
	@awk -F ':.*## ' 'BEGIN { print "make TARGET:" } \
		/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 } \
		END { print "variables: LAB, SCENARIO, SMP, CPU, MEM, MTE, REVERSE, TUI, CAPSULE, ONLY, TIMES, OLD, DOCS, FUZZ,"; \
			print "           SECONDS, FILES, COUNT, SEED, TESTS, BUILD, CROSS_COMPILE (see the top of the Makefile)" }' \
		$(firstword $(MAKEFILE_LIST))
