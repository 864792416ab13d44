# Build, install and test kwjobs with PGXS. ./test does all of it on a bare machine.

MODULE_big = kwjobs
EXTENSION = kwjobs
DATA = kwjobs--1.0.sql
PGFILEDESC = "kwjobs - long-running work as jobs"

# Where this file is. PGXS, which is included last, calls it srcdir; it is not the current
# directory in a build out of the tree: make -f /path/to/kwjobs/Makefile.
here := $(dir $(firstword $(MAKEFILE_LIST)))
sources_in = $(patsubst $(here)%,%,$(sort $(wildcard $(here)$(1))))

OBJS = $(patsubst %.c,%.o,kwjobs.c $(call sources_in,src/*.c) $(call sources_in,src/*/*.c) $(call sources_in,src/*/*/*.c))

# make KWJ_TEST_BUILD=1 also builds the job types and functions that only tests need.
ifdef KWJ_TEST_BUILD
test_flags = -DKWJ_TEST_BUILD
else
OBJS := $(filter-out src/type/test/% src/function/test_% src/job/test_%,$(OBJS))
endif

ifneq ($(here),./)
# Through VPATH, make would find objects beside the sources and not build its own.
ifneq ($(wildcard $(here)*.o $(here)src/*.o $(here)src/*/*.o $(here)src/*/*/*.o),)
$(error $(here) holds the objects of a build; run make clean there first)
endif
$(shell mkdir -p $(dir $(OBJS)))
# PGXS sets VPATH only if PostgreSQL itself was built out of its source tree.
VPATH ?= $(patsubst %/,%,$(here))
endif

# ./test adds COPT=-Werror
PG_CPPFLAGS = -I$(srcdir)/src $(test_flags)
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers -Wno-cast-function-type
SHLIB_LINK = -lunwind

# Libraries that compress what EXPORT writes, and uncompress what IMPORT reads. Without one, both refuse
# that compression (0A000).
pkg_config ?= pkg-config
define use_if_found
ifeq ($(shell $(pkg_config) --exists $(1) 2>/dev/null && echo yes),yes)
PG_CPPFLAGS += -D$(2) $(shell $(pkg_config) --cflags $(1))
SHLIB_LINK += $(shell $(pkg_config) --libs $(1))
endif
endef
$(eval $(call use_if_found,zlib,KWJ_HAVE_ZLIB))
$(eval $(call use_if_found,liblz4,KWJ_HAVE_LZ4))
$(eval $(call use_if_found,libzstd,KWJ_HAVE_ZSTD))
# The library that reads URLs. Without it, IMPORT refuses them (0A000).
$(eval $(call use_if_found,libcurl,KWJ_HAVE_CURL))

# What installcheck runs, on a server with shared_preload_libraries = 'kwjobs'
REGRESS = $(patsubst sql/%.sql,%,$(call sources_in,sql/*.sql))
REGRESS_OPTS = --encoding=UTF8 --no-locale
# What several files of sql/ include.
export KWJ_INCLUDE = $(abspath $(here))/sql/include
ISOLATION = $(patsubst specs/%.spec,%,$(call sources_in,specs/*.spec))
ISOLATION_OPTS = --encoding=UTF8 --no-locale --load-extension=kwjobs

TAP_TESTS = 1

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(OBJS) $(OBJS:.o=.bc): $(wildcard $(srcdir)/src/*.h $(srcdir)/src/*/*.h $(srcdir)/src/*/*/*.h)

# The TAP tests start servers of their own and need the Perl module IPC::Run.
ifneq ($(shell perl -MIPC::Run -e 'print "yes"' 2>/dev/null),yes)
prove_installcheck = @echo 'NOT RUN: the tests in t/. They need the Perl module IPC::Run (Debian: libipc-run-perl).'
endif
