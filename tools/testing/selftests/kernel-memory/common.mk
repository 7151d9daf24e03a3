# SPDX-License-Identifier: GPL-2.0-only
#
# Shared by the Makefiles of all folders that use btf.[ch], common.[ch] and memory.[ch].
# A folder names its programs in TEST_GEN_PROGS and TEST_GEN_PROGS_EXTENDED, and the programs
# for 64-bit kernels only in TEST_GEN_PROGS_64 and TEST_GEN_PROGS_EXTENDED_64. Those for 64-bit
# RISC-V only are in TEST_GEN_PROGS_EXTENDED_RISCV64.

SHARED := ../kernel-memory

# Static: the guest that runs the programs has no C library.
CFLAGS += -Wall -Wextra -O2 -static -isystem $(KSELFTEST) -I$(SHARED)
LOCAL_HDRS += $(SHARED)/btf.h $(SHARED)/common.h $(SHARED)/memory.h

# Outside of the kernel tree, set KSELFTEST to the directory of its selftests.
KSELFTEST ?= ..
include $(KSELFTEST)/lib.mk

# lib.mk has chosen the compiler, which knows its target.
target := $(shell echo __LP64__ __riscv | $(CC) -E -P -x c -)
ifeq ($(target),1 1)
TEST_GEN_PROGS_EXTENDED_64 += $(TEST_GEN_PROGS_EXTENDED_RISCV64)
endif
ifeq ($(firstword $(target)),1)
TEST_GEN_PROGS += $(addprefix $(OUTPUT)/, $(TEST_GEN_PROGS_64))
TEST_GEN_PROGS_EXTENDED += $(addprefix $(OUTPUT)/, $(TEST_GEN_PROGS_EXTENDED_64))
all: $(TEST_GEN_PROGS) $(TEST_GEN_PROGS_EXTENDED)
endif

$(TEST_GEN_PROGS) $(TEST_GEN_PROGS_EXTENDED): $(SHARED)/btf.c $(SHARED)/common.c $(SHARED)/memory.c

# The programs load these modules. KDIR is the output directory of the kernel.
KDIR ?= $(abspath $(CURDIR)/../../../..)

modules clean_modules:
	$(MAKE) -C $(KDIR) M=$(CURDIR)/modules $(subst clean_modules,clean,$@)

.PHONY: modules clean_modules
