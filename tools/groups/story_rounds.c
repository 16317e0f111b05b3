// SPDX-License-Identifier: GPL-2.0
/*
 * A thousand random things that happen to a group: its members attach, move,
 * detach, close, are forgotten and unplugged and come back, and mappings come
 * and go. A model of a few numbers says what each answers and what is pinned.
 */
#include <errno.h>
#include <stdlib.h>

#include "groups.h"
#include "iommufd.h"
#include "pci.h"

/* As one requester; once more in short as three. */
#define NR_ROUNDS	1000
#define NR_ROUNDS_APART	250
#define ROUNDS_SEED	4
#define NOWHERE		(-1)

/* Mappings that come and go, at most so many in each space. */
#define NR_SLOTS	4
#define SLOT_PAGES_MAX	32UL

struct slot {
	char *memory;		/* NULL: not mapped */
	unsigned long nr_pages;
};

struct rounds {
	struct group *group;
	int space;		/* where the group is attached, or NOWHERE */
	bool attached[NR_MEMBERS];
	bool open[NR_MEMBERS];
	bool unplugged[NR_MEMBERS];
	struct slot slot[NR_SPACES][NR_SLOTS];

	unsigned int nr_rounds;
	unsigned int nr_moved;
	unsigned int nr_refused;
	unsigned int nr_removed;
	unsigned int nr_unplugged;
	unsigned int nr_transfers;
};

static unsigned int random_below(unsigned int limit)
{
	return rand() % limit;
}

static long wanted_pinned(const struct rounds *rounds)
{
	long nr_pages = SPACE_PAGES;
	unsigned int i;

	if (rounds->space == NOWHERE)
		return 0;
	for (i = 0; i < NR_SLOTS; i++)
		nr_pages += rounds->slot[rounds->space][i].nr_pages;
	return nr_pages;
}

static unsigned int attached_members(const struct rounds *rounds)
{
	unsigned int i, members = 0;

	for (i = 0; i < NR_MEMBERS; i++)
		if (rounds->attached[i])
			members |= 1U << i;
	return members;
}

static void leaves(struct rounds *rounds, unsigned int member)
{
	rounds->attached[member] = false;
	if (!attached_members(rounds))
		rounds->space = NOWHERE;
}

/* What may happen. Each returns an error, which is none. ------------------- */

static int open_member(struct rounds *rounds, unsigned int member)
{
	struct group *group = rounds->group;
	int error = 0;

	if (rounds->open[member])
		return 0;
	if (rounds->unplugged[member])
		error = monitor_plug(group->monitor,
				     &group->engine[member].plug);
	else if (!pci_present(group->engine[member].address))
		error = pci_rescan();
	rounds->unplugged[member] = false;
	if (!error && !pci_ready(group->engine[member].address,
				 SURELY_ENDED_MS))
		error = -ENODEV;
	if (!error)
		error = engine_bind(group, member);
	rounds->open[member] = !error;
	return error;
}

static void close_member(struct rounds *rounds, unsigned int member)
{
	engine_close(rounds->group, member);
	rounds->open[member] = false;
	leaves(rounds, member);
}

static int close_and_open(struct rounds *rounds, unsigned int member)
{
	close_member(rounds, member);
	return open_member(rounds, member);
}

static int attach_or_move(struct rounds *rounds, unsigned int member)
{
	int space = random_below(NR_SPACES);
	bool refused = !rounds->attached[member] && rounds->space != NOWHERE &&
		       rounds->space != space;
	int error = open_member(rounds, member);

	if (error)
		return error;
	error = engine_attach(rounds->group, member, space);
	if (refused) {
		rounds->nr_refused++;
		return error == -EINVAL ? 0 : -EPROTO;
	}
	if (!error) {
		rounds->nr_moved += rounds->attached[member] &&
				    rounds->space != space;
		rounds->attached[member] = true;
		rounds->space = space;
	}
	return error;
}

static int detach(struct rounds *rounds, unsigned int member)
{
	int error = open_member(rounds, member);

	if (!error)
		error = engine_detach(rounds->group, member);
	if (!error)
		leaves(rounds, member);
	return error;
}

static __u64 slot_iova(unsigned int slot)
{
	return STEP_IOVA + slot * MIB;
}

static int slot_unmap(struct rounds *rounds, unsigned int space,
		      unsigned int number)
{
	struct slot *slot = &rounds->slot[space][number];
	struct group *group = rounds->group;
	int error;

	if (!slot->memory)
		return 0;
	error = ioas_unmap_exactly(group->iommufd, group->space[space].id,
				   slot_iova(number),
				   slot->nr_pages * PAGE_BYTES);
	memory_free(slot->memory, slot->nr_pages * PAGE_BYTES);
	*slot = (struct slot){ 0 };
	return error;
}

static int slot_map(struct rounds *rounds, unsigned int space,
		    unsigned int number)
{
	struct slot *slot = &rounds->slot[space][number];
	struct group *group = rounds->group;

	slot->nr_pages = 1 + random_below(SLOT_PAGES_MAX);
	slot->memory = memory_new(slot->nr_pages * PAGE_BYTES);
	return ioas_map_at(group->iommufd, group->space[space].id, slot->memory,
			   slot->nr_pages * PAGE_BYTES, slot_iova(number),
			   DMA_READ_WRITE);
}

static int map_or_unmap(struct rounds *rounds, unsigned int member)
{
	unsigned int space = random_below(NR_SPACES);
	unsigned int number = random_below(NR_SLOTS);

	(void)member;
	return rounds->slot[space][number].memory ?
		slot_unmap(rounds, space, number) :
		slot_map(rounds, space, number);
}

static int forget(struct rounds *rounds, unsigned int member)
{
	if (!rounds->open[member])
		return open_member(rounds, member);
	close_member(rounds, member);
	rounds->nr_removed++;
	return pci_remove(rounds->group->engine[member].address);
}

static int unplug(struct rounds *rounds, unsigned int member)
{
	struct group *group = rounds->group;
	struct plug *plug = &group->engine[member].plug;
	int error;

	if (!group->monitor)
		return forget(rounds, member);
	if (!rounds->open[member])
		return open_member(rounds, member);
	close_member(rounds, member);
	error = monitor_unplug(group->monitor, plug);
	if (!error && !monitor_gone(group->monitor, plug, SURELY_ENDED_MS))
		error = -ETIMEDOUT;
	rounds->unplugged[member] = !error;
	rounds->nr_unplugged++;
	return error;
}

/* Only when none is missing: see core_blocks_siblings() in story_unplug.c. */
static int transfer(struct rounds *rounds, unsigned int member)
{
	unsigned int i, members = attached_members(rounds);
	bool arrived;

	(void)member;
	for (i = 0; i < NR_MEMBERS; i++)
		if (!pci_present(rounds->group->engine[i].address))
			return 0;
	if (!members)
		return 0;
	rounds->nr_transfers++;
	if (!dma_not_astray(rounds->group, members, rounds->space, "DMA",
			    &arrived))
		return -EPROTO;
	return arrived ? 0 : -EIO;
}

static const struct happening {
	const char *name;
	int (*happen)(struct rounds *rounds, unsigned int member);
	unsigned int percent;
} happenings[] = {
	{ "attach or move",	attach_or_move,	49 },
	{ "map or unmap",	map_or_unmap,	23 },
	{ "detach",		detach,		14 },
	{ "close and open",	close_and_open,	4 },
	{ "forget",		forget,		4 },
	{ "unplug",		unplug,		2 },
	{ "transfer",		transfer,	4 },
};

static const struct happening *any_happening(void)
{
	unsigned int percent = random_below(100);
	size_t i;

	for (i = 0; percent >= happenings[i].percent; i++)
		percent -= happenings[i].percent;
	return &happenings[i];
}

static bool play_rounds(struct rounds *rounds)
{
	unsigned int round;

	for (round = 0; round < rounds->nr_rounds; round++) {
		const struct happening *happening = any_happening();
		unsigned int member = random_below(NR_MEMBERS);
		int error = happening->happen(rounds, member);

		if (error)
			return failed("round %u, %s, member %u: %s", round,
				      happening->name, member,
				      error_name(error));
		if (group_pinned(rounds->group) != wanted_pinned(rounds))
			return failed("round %u, %s: %ld pages pinned, want %ld",
				      round, happening->name,
				      group_pinned(rounds->group),
				      wanted_pinned(rounds));
	}
	return true;
}

static bool end_rounds(struct rounds *rounds)
{
	unsigned int i, space;
	int error = 0;

	for (i = 0; !error && i < NR_MEMBERS; i++) {
		error = open_member(rounds, i);
		if (!error)
			error = engine_detach(rounds->group, i);
	}
	if (error)
		return failed("all come back and detach: %s", error_name(error));
	if (!pinned_is(rounds->group, 0, "all have detached"))
		return false;
	for (space = 0; space < NR_SPACES; space++)
		for (i = 0; !error && i < NR_SLOTS; i++)
			error = slot_unmap(rounds, space, i);
	if (error)
		return failed("unmapping: %s", error_name(error));
	error = members_attach(rounds->group, ALL_MEMBERS, 0);
	if (error)
		return failed("attaching once more: %s", error_name(error));
	return pinned_is(rounds->group, SPACE_PAGES, "attached once more") &&
	       dma_arrives(rounds->group, ALL_MEMBERS, 0, "attached once more");
}

bool story_rounds(struct group *group)
{
	struct rounds *rounds = calloc(1, sizeof(*rounds));
	bool good;
	unsigned int i;

	srand(ROUNDS_SEED);
	rounds->group = group;
	rounds->space = NOWHERE;
	rounds->nr_rounds = group->one_requester ? NR_ROUNDS : NR_ROUNDS_APART;
	for (i = 0; i < NR_MEMBERS; i++)
		rounds->open[i] = true;
	good = play_rounds(rounds) && end_rounds(rounds) &&
	       held("%u rounds: %u moves, %u refused, %u removed, %u unplugged, %u with DMA",
		    rounds->nr_rounds, rounds->nr_moved, rounds->nr_refused,
		    rounds->nr_removed, rounds->nr_unplugged,
		    rounds->nr_transfers);
	free(rounds);
	return good;
}
