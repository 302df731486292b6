/*
 * The part of QEMU's plugin interface that limit.c and cover.c use; Debian has no qemu-plugin.h. Declared
 * once for each form that it had: compiled with PLUGIN_API=7 (build/NAME-7.so) a plugin is one for QEMU 11.1
 * and newer, without it (build/NAME.so) for all before. machine.py knows which QEMU takes which.
 */
#ifndef HARNESS_HOST_PLUGIN_H
#define HARNESS_HOST_PLUGIN_H

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>

#ifndef PLUGIN_API
#define PLUGIN_API 6
#endif

#define EXPORTED __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void executed(unsigned int cpu, void *data);

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, executed *, int flags, void *);
int qemu_plugin_install(plugin_id, const void *info, int given, char **options);

/* Defines what is called for each block that QEMU translates: ON_TRANSLATION(note, tb) { … } */
#if PLUGIN_API < 7
typedef void translated(plugin_id, struct qemu_plugin_tb *);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, translated *);
#define REGISTER_TRANSLATED(id, function) qemu_plugin_register_vcpu_tb_trans_cb(id, function)
#define ON_TRANSLATION(name, tb)                                                                   \
	static void name(__attribute__((unused)) plugin_id id, struct qemu_plugin_tb *tb)
#else
typedef void translated(struct qemu_plugin_tb *, void *data);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, translated *, void *data);
#define REGISTER_TRANSLATED(id, function) qemu_plugin_register_vcpu_tb_trans_cb(id, function, NULL)
#define ON_TRANSLATION(name, tb)                                                                   \
	static void name(struct qemu_plugin_tb *tb, __attribute__((unused)) void *data)
#endif

EXPORTED int qemu_plugin_version = PLUGIN_API; /* QEMU looks before it calls anything */

/* Of those before 7, each QEMU takes a range; what is used here is the same in all of them. */
__attribute__((constructor)) static void choose_version(void)
{
	if (PLUGIN_API >= 7 || dlsym(RTLD_DEFAULT, "qemu_plugin_set_pc"))
		return;
	qemu_plugin_version = dlsym(RTLD_DEFAULT, "qemu_plugin_u64_add") ? 2 : 1;
}

#endif
