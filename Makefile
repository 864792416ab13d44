# Build, install and test kwjobs with PGXS. ./test does all of it on a bare machine.

MODULE_big = kwjobs
EXTENSION = kwjobs
DATA = kwjobs--1.0.sql
PGFILEDESC = "kwjobs - long-running work as jobs"

SOURCES = kwjobs.c $(sort $(wildcard src/*/*.c))
OBJS = $(SOURCES:.c=.o)

# ./test adds COPT=-Werror
PG_CPPFLAGS = -I$(srcdir)/src
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers -Wno-cast-function-type
SHLIB_LINK = -lunwind

# What installcheck runs, on a server with shared_preload_libraries = 'kwjobs'
REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
ISOLATION = $(patsubst specs/%.spec,%,$(sort $(wildcard specs/*.spec)))
ISOLATION_OPTS = --load-extension=kwjobs

TAP_TESTS = 1

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(OBJS) $(OBJS:.o=.bc): $(wildcard src/*.h src/*/*.h)

# The TAP tests start servers of their own and need the Perl module IPC::Run.
ifneq ($(shell perl -MIPC::Run -e 'print "yes"' 2>/dev/null),yes)
prove_installcheck = @echo 'NOT RUN: the tests in t/. They need the Perl module IPC::Run (Debian: libipc-run-perl).'
endif
