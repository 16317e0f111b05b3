// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin for QEMU's TCG (7.2): which code ran how often between the two marks
 * that count.c of the benchmark sets around a command. The last repetition
 * stands. Writes a line "address instructions" a translated block that ran.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

const int qemu_plugin_version = 1;

/* A block that is translated anew gets a new one; addresses may repeat. */
struct block {
	struct block *next;
	uint64_t address;
	uint64_t nr_instructions;
};

static struct block *blocks;
static const char *out_path;

/* See count.c. */
static const unsigned char mark_begin[] = { 0x0f, 0x1f, 0x80, 0x01, 0x6d, 0x6f, 0x69 };
static const unsigned char mark_end[] = { 0x0f, 0x1f, 0x80, 0x02, 0x6d, 0x6f, 0x69 };

static void begin(unsigned int vcpu, void *data)
{
	struct block *block;

	(void)vcpu;
	(void)data;
	for (block = blocks; block; block = block->next)
		block->nr_instructions = 0;
}

static void end(unsigned int vcpu, void *data)
{
	FILE *out = fopen(out_path, "w");
	struct block *block;

	(void)vcpu;
	(void)data;
	if (!out) {
		perror(out_path);
		exit(1);
	}
	for (block = blocks; block; block = block->next)
		if (block->nr_instructions)
			fprintf(out, "%016llx %llu\n",
				(unsigned long long)block->address,
				(unsigned long long)block->nr_instructions);
	fclose(out);
}

static bool is_mark(const struct qemu_plugin_insn *insn,
		    const unsigned char *mark)
{
	return qemu_plugin_insn_size(insn) == sizeof(mark_begin) &&
	       !memcmp(qemu_plugin_insn_data(insn), mark, sizeof(mark_begin));
}

static void on_execution(struct qemu_plugin_insn *insn,
			 qemu_plugin_executed_t callback)
{
	qemu_plugin_register_vcpu_insn_exec_cb(insn, callback,
					       QEMU_PLUGIN_CB_NO_REGS, NULL);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t nr = qemu_plugin_tb_n_insns(tb);
	struct block *block = calloc(1, sizeof(*block));
	size_t i;

	(void)id;
	if (!block)
		abort();
	block->address = qemu_plugin_tb_vaddr(tb);
	block->next = blocks;
	blocks = block;
	qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64,
						 &block->nr_instructions, nr);

	for (i = 0; i < nr; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);

		if (is_mark(insn, mark_begin))
			on_execution(insn, begin);
		if (is_mark(insn, mark_end))
			on_execution(insn, end);
	}
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc,
			char **argv)
{
	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4)) {
		fprintf(stderr, "profile: needs out=FILE\n");
		return -1;
	}
	out_path = strdup(argv[0] + 4);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return 0;
}
