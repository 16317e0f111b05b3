# SPDX-License-Identifier: GPL-2.0
#
# What a person types.  The kernel's build reads Kbuild and Kconfig instead.

IOMMU ?= intel

help:
	@echo 'make run [IOMMU=intel|virtio|amd|smmuv3]'
	@echo '                                   build a kernel with this iommufd, boot it, drive'
	@echo '                                   an NVMe disk and a DMA engine through it'
	@echo 'make check [ONLY="part ..."]       every test; the parts: $(shell tools/check --list)'
	@echo 'make kunit [FILTER=glob]           the unit tests alone, by the kernel'\''s kunit.py'
	@echo 'make bench                         instructions a page, beside those of stock Linux'
	@echo 'make build [CONFIG=debug]          one kernel; see tools/kernel for the names'
	@echo 'make clean                         forget what was built (keep what was downloaded)'
	@echo
	@echo 'KSRC=<tree> takes a Linux 7.2 tree you have instead of downloading one.'
	@echo 'tools/overlay <tree> puts this iommufd into your own tree.'

run:
	@tools/run $(IOMMU)

check:
	@tools/check $(ONLY)

kunit:
	@tools/kunit '$(or $(FILTER),iommufd*)'

bench:
	@tools/measure

build:
	@tools/kernel build $(or $(CONFIG),release)

clean:
	@tools/kernel clean

.PHONY: help run check kunit bench build clean
