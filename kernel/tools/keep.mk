# What a build follows beside its files: flags, tools, and which sources there are. Each is a file in
# $(BUILD) that is written when it would say something else, so that what depends on it is made anew then.
# Included by kernel/build.mk and harness/host/build.mk.
#
#     $(BUILD)/some.flags: FORCE
#     	@$(call keep,'the words' "$$(cc --version)")

keep = mkdir -p $(@D); printf '%s\n' $(1) | cmp -s - $@ || printf '%s\n' $(1) > $@

.PHONY: FORCE
FORCE:
