/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Three DMA engines in one IOMMU group, one outside it, and two address spaces
 * in which they have the same IOVAs and different memory.
 */
#ifndef GROUPS_GROUP_H
#define GROUPS_GROUP_H

#include <stdbool.h>
#include <linux/types.h>

#include "background.h"
#include "monitor.h"
#include "pattern.h"
#include "vfio.h"

#define NR_MEMBERS	3
#define NR_ENGINES	(NR_MEMBERS + 1)
#define OUTSIDE		NR_MEMBERS
#define ALL_MEMBERS	((1U << NR_MEMBERS) - 1)

#define NR_SPACES	2

/* An engine reads one page and writes the next one. */
#define SPACE_IOVA	(16 * MIB)
#define SPACE_PAGES	(2UL * NR_ENGINES)
#define SPACE_BYTES	(SPACE_PAGES * PAGE_BYTES)

/* Where steps map memory of their own. */
#define STEP_IOVA	(1024UL * MIB)

/* The window of the interrupts, which each engine brings with it behind VT-d. */
#define INTERRUPT_IOVA	0xfee00000UL

struct group;

struct stream {
	struct group *group;
	unsigned int engine;
	unsigned int space;
	bool running;
	bool stop;
	unsigned int nr_arrived;
	unsigned int nr_lost;
	struct background background;
};

struct engine {
	const char *address;
	struct vfio_device device;
	struct plug plug;
	struct stream stream;
};

struct space {
	__u32 id;
	char *memory;
};

struct group {
	/* from the command line */
	const char *iommu;
	const char *name;
	bool one_requester;	/* the IOMMU cannot tell the members apart */
	struct monitor *monitor;

	/* a context: from group_open() until group_close() */
	int iommufd;
	struct engine engine[NR_ENGINES];
	struct space space[NR_SPACES];

	/* pinned by anybody in the machine before the first step */
	long pinned_pages_before;
};

/* A context with both spaces, and all engines bound but not attached. */
int group_open(struct group *group);
/* Make it so again, after a step that held. */
int group_rest(struct group *group);
void group_close(struct group *group);

/* Open and bind an engine, and let it do DMA. */
int engine_bind(struct group *group, unsigned int number);
/* Detached, unbound, closed. */
void engine_close(struct group *group, unsigned int number);
int engine_attach(struct group *group, unsigned int number, unsigned int space);
int engine_detach(struct group *group, unsigned int number);
/* Members of a set, in their order. */
int members_attach(struct group *group, unsigned int members,
		   unsigned int space);

/* Pages pinned through this context and charged for it; -1 if they differ. */
long group_pinned(struct group *group);
bool pinned_is(struct group *group, long wanted, const char *when);
bool objects_are(struct group *group, long wanted, const char *when);

/*
 * Whether each engine of a set does DMA in a space: reads its page and writes
 * the next one, all at once, and nothing arrives in the other space. Both say
 * what went wrong.
 */
bool dma_arrives(struct group *group, unsigned int engines, unsigned int space,
		 const char *when);
/* ... whether it arrives or is blocked, and goes nowhere else. */
bool dma_not_astray(struct group *group, unsigned int engines,
		    unsigned int space, const char *when, bool *arrived);
/* ... whether what they write arrives in neither. */
bool dma_blocked(struct group *group, unsigned int engines, const char *when);

/*
 * An engine goes on writing to a space, and looks whether it arrives. The first
 * returns once something has. What is not ended is when the context is closed.
 */
bool stream_begin(struct group *group, unsigned int engine, unsigned int space);
bool stream_end(struct group *group, unsigned int engine);

#endif
