// SPDX-License-Identifier: GPL-2.0-only
/*
 * Putting runs into IOMMU domains and taking them out again.
 *
 * DOC: filling and emptying a domain
 *
 * A domain is an output only. What is mapped in it follows from the areas of
 * the address space and the record of pins; nothing is ever read back from
 * it. A run, as long as it is, goes in with one call of the IOMMU core, so
 * that the driver can use its largest entries; an area comes out whole.
 *
 * Taking out gathers: the caller syncs once for all the areas of a batch, and
 * only after that may pages be unpinned.
 */
#include <linux/sizes.h>

#include "iommufd_private.h"

/*
 * The IOMMU core does not reschedule within one call. Larger areas are taken
 * out in pieces that begin and end where a call that put them in did.
 */
#define UNMAP_PIECE_BYTES SZ_1G

/* The part of a run's pages that an area maps. */
struct iova_piece {
	unsigned long iova;
	phys_addr_t phys;
	size_t bytes;
};

/* Walks an area as pieces; source->lock is held. */
struct piece_cursor {
	struct run_cursor cursor;
	struct iova_range rest;
	unsigned int page_offset;
	unsigned int nr_runs;
	unsigned int next_run;
	struct run runs[RUNS_AT_ONCE];
};

static void piece_cursor_init(struct piece_cursor *cursor,
			      struct iommufd_area *area)
{
	run_cursor_init(&cursor->cursor, area->source,
			area_pages(area, area->iova));
	cursor->rest = area->iova;
	cursor->page_offset = area->page_offset;
	cursor->nr_runs = 0;
	cursor->next_run = 0;
}

static bool piece_cursor_refill(struct piece_cursor *cursor)
{
	cond_resched();
	cursor->next_run = 0;
	cursor->nr_runs = run_cursor_read(&cursor->cursor, cursor->runs,
					  ARRAY_SIZE(cursor->runs));
	return cursor->nr_runs;
}

static inline bool piece_cursor_next(struct piece_cursor *cursor,
				     struct iova_piece *piece)
{
	const struct run *run;

	if (cursor->next_run == cursor->nr_runs && !piece_cursor_refill(cursor))
		return false;
	run = &cursor->runs[cursor->next_run++];
	piece->iova = cursor->rest.first;
	piece->phys = PFN_PHYS(run->pfn) + cursor->page_offset;
	/* The first page may begin before the area, the last end behind it. */
	piece->bytes = min((run->nr << PAGE_SHIFT) - cursor->page_offset,
			   iova_range_bytes(cursor->rest));
	cursor->page_offset = 0;
	cursor->rest.first += piece->bytes;
	return true;
}

static int map_page_by_page(struct iommu_domain *domain,
			    const struct iova_piece *piece, int prot)
{
	unsigned long done, bytes;
	int error;

	for (done = 0; done < piece->bytes; done += bytes) {
		phys_addr_t phys = piece->phys + done;

		bytes = min(PAGE_SIZE - offset_in_page(phys),
			    piece->bytes - done);
		error = iommu_map(domain, piece->iova + done, phys, bytes,
				  prot, GFP_KERNEL_ACCOUNT);
		if (error) {
			if (done)
				iommu_unmap(domain, piece->iova, done);
			return error;
		}
		cond_resched();
	}
	return 0;
}

static int map_piece(struct iommu_domain *domain,
		     const struct iova_piece *piece, int prot, bool huge_pages)
{
	if (!huge_pages)
		return map_page_by_page(domain, piece, prot);
	return iommu_map(domain, piece->iova, piece->phys, piece->bytes, prot,
			 GFP_KERNEL_ACCOUNT);
}

/**
 * domain_map_area() - map an area in a domain
 * @domain: the domain
 * @area: the area, claimed
 * @huge_pages: larger entries than a page may be used
 *
 * Return: 0, or what the IOMMU core answers, in which case nothing of the
 * area is mapped.
 * Context: May sleep. domains_rwsem is held.
 */
int domain_map_area(struct iommu_domain *domain, struct iommufd_area *area,
		    bool huge_pages)
{
	struct piece_cursor cursor;
	struct iova_piece piece;
	unsigned long mapped = 0;
	int error = 0;

	guard(mutex)(&area->source->lock);
	piece_cursor_init(&cursor, area);
	while (!error && piece_cursor_next(&cursor, &piece)) {
		error = map_piece(domain, &piece, area->prot, huge_pages);
		if (!error)
			mapped += piece.bytes;
	}
	if (error && mapped)
		iommu_unmap(domain, area->iova.first, mapped);
	return error;
}

/* Take out from an area's start to the end of one of its pieces, in pieces. */
static size_t unmap_pieces(struct iommu_domain *domain,
			   struct iommufd_area *area,
			   struct iommu_iotlb_gather *gather)
{
	unsigned long first = area->iova.first;
	struct piece_cursor cursor;
	struct iova_piece piece;
	size_t unmapped = 0;

	guard(mutex)(&area->source->lock);
	piece_cursor_init(&cursor, area);
	while (piece_cursor_next(&cursor, &piece)) {
		unsigned long end = cursor.rest.first;

		if (end - first < UNMAP_PIECE_BYTES &&
		    end - 1 != area->iova.last)
			continue;
		unmapped += iommu_unmap_fast(domain, first, end - first,
					     gather);
		first = end;
	}
	return unmapped;
}

/**
 * domain_unmap_area() - take an area out of a domain
 * @domain: the domain
 * @area: the area, which is mapped in it
 * @gather: what the caller syncs before it unpins anything
 *
 * Context: May sleep. domains_rwsem is held. Cannot fail: if a driver does
 * not do its part, the area's memory stays pinned for ever.
 */
void domain_unmap_area(struct iommu_domain *domain, struct iommufd_area *area,
		       struct iommu_iotlb_gather *gather)
{
	unsigned long bytes = iova_range_bytes(area->iova);
	size_t unmapped;

	if (bytes <= UNMAP_PIECE_BYTES)
		unmapped = iommu_unmap_fast(domain, area->iova.first, bytes,
					    gather);
	else
		unmapped = unmap_pieces(domain, area, gather);
	if (WARN_ON_ONCE(unmapped != bytes))
		area->stuck = true;
}

/**
 * domains_map_area() - map an area in every domain of an address space
 * @ioas: the address space
 * @area: the area, claimed if there is a domain
 *
 * Return: 0, or what the IOMMU core answers, in which case no domain maps it.
 * Context: May sleep. domains_rwsem is held.
 */
int domains_map_area(struct iommufd_ioas *ioas, struct iommufd_area *area)
{
	struct iommufd_hwpt_paging *hwpt;
	int error = 0;

	lockdep_assert_held(&ioas->domains_rwsem);
	list_for_each_entry(hwpt, &ioas->domains, ioas_node) {
		error = domain_map_area(hwpt->common.domain, area,
					ioas->huge_pages);
		if (error)
			break;
	}
	if (!error)
		return 0;
	list_for_each_entry_continue_reverse(hwpt, &ioas->domains, ioas_node) {
		struct iommu_iotlb_gather gather;

		iommu_iotlb_gather_init(&gather);
		domain_unmap_area(hwpt->common.domain, area, &gather);
		iommu_iotlb_sync(hwpt->common.domain, &gather);
	}
	return error;
}

/**
 * domains_unmap_areas() - take areas out of every domain of an address space
 * @ioas: the address space
 * @areas: list of iommufd_area::batch
 *
 * When it returns, every IOMMU has been synced: the areas' claims may be
 * released. One IOTLB sync a domain serves all the areas.
 *
 * Context: May sleep. domains_rwsem is held. Cannot fail.
 */
void domains_unmap_areas(struct iommufd_ioas *ioas, struct list_head *areas)
{
	struct iommufd_hwpt_paging *hwpt;

	lockdep_assert_held(&ioas->domains_rwsem);
	if (list_empty(areas))
		return;
	list_for_each_entry(hwpt, &ioas->domains, ioas_node) {
		struct iommu_domain *domain = hwpt->common.domain;
		struct iommu_iotlb_gather gather;
		struct iommufd_area *area;

		iommu_iotlb_gather_init(&gather);
		list_for_each_entry(area, areas, batch) {
			domain_unmap_area(domain, area, &gather);
			cond_resched();
		}
		iommu_iotlb_sync(domain, &gather);
	}
}
