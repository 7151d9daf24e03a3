# SPDX-License-Identifier: GPL-2.0-only
#
# What the Makefiles of the folders have in common that use common.[ch] and memory.[ch].
# A folder names its programs in TEST_GEN_PROGS and TEST_GEN_PROGS_EXTENDED, and those that
# only a 64-bit kernel can run in TEST_GEN_PROGS_64 and TEST_GEN_PROGS_EXTENDED_64.

SHARED := ../kernel-memory

# Static, so that the programs run in a guest that has no C library.
CFLAGS += -Wall -Wextra -O2 -static -isystem $(KSELFTEST) -I$(SHARED)
LOCAL_HDRS += $(SHARED)/common.h $(SHARED)/memory.h

# Elsewhere than in the kernel tree, say where its selftests are.
KSELFTEST ?= ..
include $(KSELFTEST)/lib.mk

# The compiler knows what it compiles for, and which one it is lib.mk has said.
ifeq ($(shell echo __LP64__ | $(CC) -E -P -x c -),1)
TEST_GEN_PROGS += $(addprefix $(OUTPUT)/, $(TEST_GEN_PROGS_64))
TEST_GEN_PROGS_EXTENDED += $(addprefix $(OUTPUT)/, $(TEST_GEN_PROGS_EXTENDED_64))
all: $(TEST_GEN_PROGS) $(TEST_GEN_PROGS_EXTENDED)
endif

$(TEST_GEN_PROGS) $(TEST_GEN_PROGS_EXTENDED): $(SHARED)/common.c $(SHARED)/memory.c

# The modules that the programs load, for the kernel whose output directory KDIR is
KDIR ?= $(abspath $(CURDIR)/../../../..)

modules clean_modules:
	$(MAKE) -C $(KDIR) M=$(CURDIR)/modules $(subst clean_modules,clean,$@)

.PHONY: modules clean_modules
