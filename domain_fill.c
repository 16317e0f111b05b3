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

/*
 * How much of an area a run of its pages makes: the first page may begin
 * @skip_bytes before the area, the last one end behind it.
 */
static inline size_t run_bytes(const struct run *run, unsigned int skip_bytes,
			       unsigned long left_bytes)
{
	return min((run->nr << PAGE_SHIFT) - skip_bytes, left_bytes);
}

static int map_page_by_page(struct iommu_domain *domain, unsigned long iova,
			    phys_addr_t phys, size_t bytes, int prot)
{
	size_t done, part;
	int error;

	for (done = 0; done < bytes; done += part) {
		part = min(PAGE_SIZE - offset_in_page(phys + done),
			   bytes - done);
		error = iommu_map(domain, iova + done, phys + done, part, prot,
				  GFP_KERNEL_ACCOUNT);
		if (error) {
			if (done)
				iommu_unmap(domain, iova, done);
			return error;
		}
		cond_resched();
	}
	return 0;
}

static int map_run(struct iommu_domain *domain, unsigned long iova,
		   phys_addr_t phys, size_t bytes, int prot, bool huge_pages)
{
	if (!huge_pages)
		return map_page_by_page(domain, iova, phys, bytes, prot);
	return iommu_map(domain, iova, phys, bytes, prot, GFP_KERNEL_ACCOUNT);
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
	unsigned long left_bytes = iova_range_bytes(area->iova);
	unsigned int skip_bytes = area->page_offset;
	unsigned long iova = area->iova.first;
	struct run runs[RUNS_AT_ONCE];
	struct run_cursor cursor;
	unsigned int nr, i;
	int error;

	guard(mutex)(&area->source->lock);
	run_cursor_init(&cursor, area->source, area_pages(area, area->iova));
	while ((nr = run_cursor_read(&cursor, runs, ARRAY_SIZE(runs)))) {
		for (i = 0; i < nr; i++) {
			size_t bytes = run_bytes(&runs[i], skip_bytes,
						 left_bytes);

			error = map_run(domain, iova,
					PFN_PHYS(runs[i].pfn) + skip_bytes,
					bytes, area->prot, huge_pages);
			if (error)
				goto unmap;
			iova += bytes;
			left_bytes -= bytes;
			skip_bytes = 0;
		}
		cond_resched();
	}
	return 0;

unmap:
	if (iova != area->iova.first)
		iommu_unmap(domain, area->iova.first,
			    iova - area->iova.first);
	return error;
}

/* Take an area out in pieces: each begins and ends where runs do. */
static size_t unmap_pieces(struct iommu_domain *domain,
			   struct iommufd_area *area,
			   struct iommu_iotlb_gather *gather)
{
	unsigned long left_bytes = iova_range_bytes(area->iova);
	unsigned int skip_bytes = area->page_offset;
	unsigned long iova = area->iova.first;
	size_t unmapped = 0, piece = 0;
	struct run_cursor cursor;
	struct run run;

	guard(mutex)(&area->source->lock);
	run_cursor_init(&cursor, area->source, area_pages(area, area->iova));
	while (run_cursor_next(&cursor, &run)) {
		size_t bytes = run_bytes(&run, skip_bytes, left_bytes);

		skip_bytes = 0;
		left_bytes -= bytes;
		piece += bytes;
		if (piece < UNMAP_PIECE_BYTES && left_bytes)
			continue;
		unmapped += iommu_unmap_fast(domain, iova, piece, gather);
		iova += piece;
		piece = 0;
		cond_resched();
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
 * area_set_blocked() - say whether domains map an area
 * @area: the area
 * @blocked: none does, for its source is revoked
 *
 * Context: domains_rwsem is held for writing, or nobody else has the area.
 */
void area_set_blocked(struct iommufd_area *area, bool blocked)
{
	if (area->blocked == blocked)
		return;
	area->blocked = blocked;
	if (blocked)
		atomic_long_inc(&area->source->ctx->nr_blocked);
	else
		atomic_long_dec(&area->source->ctx->nr_blocked);
}

/**
 * domains_map_area() - map an area in every domain of an address space
 * @ioas: the address space
 * @area: the area, claimed if there is a domain
 *
 * An area over a source that is revoked is not mapped but blocked.
 *
 * Return: 0, or what the IOMMU core answers, in which case no domain maps it.
 * Context: May sleep. domains_rwsem is held.
 */
int domains_map_area(struct iommufd_ioas *ioas, struct iommufd_area *area)
{
	struct iommufd_hwpt_paging *hwpt;
	int error = 0;

	lockdep_assert_held(&ioas->domains_rwsem);
	area_set_blocked(area, READ_ONCE(area->source->revoked));
	if (area->blocked)
		return 0;
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
			if (!area->blocked)
				domain_unmap_area(domain, area, &gather);
			cond_resched();
		}
		iommu_iotlb_sync(domain, &gather);
	}
}
