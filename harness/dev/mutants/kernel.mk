# The kernel of a mutant's tree (tree.py): kernel/build.mk as it stands, silent, and without warnings,
# since a mutant may leave a variable unused. A warning's absence changes no code.
BUILD := build
PYTHON := .venv/bin/python
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := kernel
say = @:

include kernel/build.mk

$(BUILD)/kernel/%: KERNEL_CFLAGS += -w
$(BUILD)/kernel/%: USER_CFLAGS += -w
