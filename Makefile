# SPDX-License-Identifier: GPL-2.0-only
#
# Every target makes all that it needs. The scripts know what is up to date and do not
# make it again, so all targets are phony. Targets do not run in parallel: they build in
# the same directories, and apt can run only once at a time.
.NOTPARALLEL:

# The kernel configuration (scripts/kernel/config/NAME.config) on which most tests of `make test` run.
KERNEL ?= distro
ifeq ($(filter rv64 distro,$(KERNEL)),)
$(error KERNEL=$(KERNEL): give KERNEL=distro or KERNEL=rv64)
endif
# All configurations that `make test` boots.
CONFIGS := $(sort rv64 $(KERNEL)) debug nomodules rv32
# The configurations that `make bench` compares.
BENCH_CONFIGS := base fixed $(if $(QUICK),,rv64 nohotplug linux-6.12 distro distro-base)
# The configurations that `make check-arch` boots.
ARCH_CONFIGS := x86_64 x86_64-nomodules arm64

# `make run` boots 64-bit or 32-bit RISC-V.
BITS ?= 64
ifeq ($(filter 32 64,$(BITS)),)
$(error BITS=$(BITS): give BITS=64 or BITS=32)
endif
# With QUICK=1, `make bench` does less.
ifneq ($(filter-out 1,$(QUICK)),)
$(error QUICK=$(QUICK): give QUICK=1, or nothing)
endif
# With WEAK=1, guests of 64-bit RISC-V run in the weak machine.
ifneq ($(filter-out 1,$(WEAK)),)
$(error WEAK=$(WEAK): give WEAK=1, or nothing)
endif
# The run time of `make soak` (for each kernel) and `make fuzz`.
ifneq ($(shell echo '$(SECONDS)' | grep -vxE '([1-9][0-9]*)?'),)
$(error SECONDS=$(SECONDS): give a number of seconds)
endif
PARTS_64 := busybox opensbi
PARTS_32 := rv32

export KERNEL LINUX QEMU CROSS_COMPILE BUSYBOX SIGNOFF TOPIC WEAK

help:
	@echo 'To see what the series does (times on two idle cores; the first run builds):'
	@echo '  make run         boot the patched kernel in QEMU: a tour, then a shell        6 min, then seconds'
	@echo '  make debian      boot Debian 13 with the kernel from its package, to a login prompt'
	@echo '  make bench       compare kernels in instructions, fences and memory -> docs/measurements.md; 90 min'
	@echo '  make bench QUICK=1  three kernels and fewer sizes; prints the table            5 min and builds'
	@echo
	@echo 'To use it:'
	@echo '  make series      mail-ready patches, a directory with a cover letter for each topic -> build/series'
	@echo '  make deb         the kernel as Debian packages -> build/deb'
	@echo '  make qemu        QEMU with virtio-mem and the weak machine -> build/parts/qemu  3 min'
	@echo
	@echo 'To change it (CONTRIBUTING.md says how):'
	@echo '  make tree        base kernel + patches/series -> build/linux, one commit a line'
	@echo '  make refresh     changed commits in build/linux -> patches/ and the new files'
	@echo '  make clean       remove what was built, but not build/linux, fetched parts and the corpus of fuzz'
	@echo
	@echo 'To test it (each file of scripts/tests says what it covers):'
	@echo '  make test        build and boot all kernels, run all tests                     80 min'
	@echo '  make test-all    the same, and tests that take too long for make test'
	@echo '  make soak        load and unload at random on two kernels, then add and remove memory; 70 min'
	@echo '  make field       suites that others wrote, in Debian 13 -> docs/field.md; hours, resumes where it was interrupted'
	@echo '  make fuzz        libFuzzer against the records of executable memory            5 min'
	@echo '  make check       check-sources, then check-commits'
	@echo '  make check-sources  checkpatch, kernel-doc, Sphinx, sparse and lint; minutes'
	@echo '  make check-commits  each commit builds, boots and loads a module; hours, resumes where it was interrupted'
	@echo '  make check-topics   each topic, with only the topics that it needs, builds, boots and passes its tests'
	@echo '  make check-configs  compile the files of the series in RISC-V configurations that lack a feature'
	@echo '  make check-arch  compile the files of the series for other architectures, boot x86_64 and arm64'
	@echo '  make drift       apply the series to each 6.1.y that Debian offers, compile the files that it touches'
	@echo
	@echo 'Variables, on the command line or in the environment:'
	@echo '  BITS=32                      make run boots 32-bit RISC-V (64)'
	@echo '  KERNEL=rv64                  make test and make soak use the lean kernel        (distro)'
	@echo '  LINUX=/path/to/linux-6.1.y   base kernel: tree or tarball (Debian'\''s linux-source-6.1)'
	@echo '  QEMU=/path/to/qemu-system-riscv64      (Debian'\''s, and for some tests the one of make qemu)'
	@echo '  BUSYBOX=/path/to/busybox     static, for riscv64          (Debian 13'\''s)'
	@echo '  CROSS_COMPILE=prefix-        compiler and its C library   (riscv64-linux-gnu-)'
	@echo '  SIGNOFF="Name <mail>"        author, sender and sign-off of the mails of make series'
	@echo '  WEAK=1                       a missing fence shows in all guests: docs/weak-machine.md'
	@echo '  TOPIC=hotplug                make series and make check-topics use only this topic and those it needs'
	@echo '  SUITE=bpf                    make field runs only these suites'
	@echo '  SECONDS=600                  run time of make soak on each kernel (1800), of make fuzz (300)'
	@echo '  QUICK=1                      make bench measures fewer sizes and kernels'

setup:
	@scripts/parts/setup

parts: setup
	@scripts/parts/fetch $(PARTS_$(BITS))

tree: setup
	@scripts/series/series tree

refresh: setup
	@scripts/series/series refresh

series: tree
	@scripts/series/series export

kernel: tree
	@scripts/kernel/build rv$(BITS)

run: kernel parts $(if $(WEAK),qemu)
	@scripts/guest/initramfs build/out/rv$(BITS)
	@scripts/guest/run.py rv$(BITS)

qemu:
	@scripts/parts/setup qemu
	@scripts/parts/fetch qemu opensbi

test-all: CONFIGS += base up preempt relocatable-kasan $(if $(filter distro,$(KERNEL)),distro-lockdep)
test test-all: tree qemu
	@scripts/kernel/build $(CONFIGS)
	@scripts/parts/fetch busybox opensbi u-boot rv32 $(if $(filter test-all,$@),pcre2)
	@for config in $(CONFIGS); do scripts/guest/initramfs build/out/$$config || exit; done
	@scripts/tests/run.py $(if $(filter test-all,$@),--all)

soak: tree qemu
	@scripts/parts/fetch $(PARTS_64)
	@scripts/kernel/build $(KERNEL) debug
	@for config in $(KERNEL) debug; do scripts/guest/initramfs build/out/$$config || exit; done
	@SOAK=$(or $(SECONDS),1800) /usr/bin/python3 -B -m pytest scripts/tests/test_soak.py

fuzz: tree
	@scripts/parts/setup fuzz
	@mkdir -p build/out/areas build/fuzz/corpus
	@$(MAKE) --silent -C build/linux/tools/testing/execmem O=$(CURDIR)/build/out/areas CROSS_COMPILE= fuzz
	@build/out/areas/areas_fuzz -max_total_time=$(or $(SECONDS),300) -max_len=1024 -len_control=0 -timeout=30 \
		-print_final_stats=1 -artifact_prefix=build/fuzz/ build/fuzz/corpus

# In Debian 13's user space: the distribution kernel with and without the series.
field: tree
	@scripts/parts/setup debian field
	@scripts/parts/fetch opensbi busybox field
	@scripts/kernel/build distro distro-base
	@for config in distro distro-base; do scripts/guest/initramfs build/out/$$config || exit; done
	@scripts/field/run.py $(SUITE)

deb: tree
	@scripts/parts/setup deb
	@scripts/kernel/build --deb distro

debian: deb qemu
	@scripts/parts/setup debian
	@scripts/parts/fetch opensbi debian
	@scripts/guest/debian.py

# If a kernel of Debian cannot be fetched, make bench leaves it out.
bench: tree
	@scripts/parts/setup qemu bench
	@scripts/parts/fetch $(PARTS_64) qemu $(if $(QUICK),,linux-6.12)
	@scripts/kernel/build $(BENCH_CONFIGS)
	@for config in $(BENCH_CONFIGS); do scripts/guest/initramfs build/out/$$config || exit; done
	@$(if $(QUICK),:,for kernel in linux-trixie linux-sid; do scripts/parts/fetch $$kernel || :; done)
	@QUICK=$(QUICK) scripts/bench/measure.py

check: check-sources check-commits

check-sources: tree
	@scripts/series/check_sources

# The tests of the topics need the second QEMU, the walk of the commits does not.
check-topics: QEMU_PART = qemu
check-commits check-topics: tree
	@scripts/parts/setup x86_64 $(QEMU_PART)
	@scripts/parts/fetch $(PARTS_64) $(QEMU_PART)
	@scripts/kernel/build rv64
	@scripts/guest/initramfs build/out/rv64
	@scripts/series/check_commits $(if $(filter check-topics,$@),--topics $(TOPIC))

drift: tree
	@scripts/series/drift

check-configs: tree
	@/usr/bin/python3 -B -m pytest scripts/tests/configurations.py

check-arch: tree
	@scripts/parts/setup x86_64 arm64 compilers
	@scripts/parts/fetch busybox-x86_64 busybox-arm64
	@scripts/kernel/build $(ARCH_CONFIGS)
	@for config in $(ARCH_CONFIGS); do scripts/guest/initramfs build/out/$$config || exit; done
	@/usr/bin/python3 -B -m pytest scripts/tests/arch.py

clean:
	@rm -rf build/out build/base build/bench build/commits build/drift build/guest build/initramfs-* build/modules-* build/log build/series build/deb build/debian build/field

.PHONY: help setup parts tree refresh series kernel qemu run test test-all soak fuzz field deb debian bench check check-sources check-commits check-topics drift check-configs check-arch clean
