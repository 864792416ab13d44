# Build, install and test kwjobs with PGXS. ./test does all of it on a bare machine.

MODULE_big = kwjobs
EXTENSION = kwjobs
DATA = kwjobs--1.0.sql
PGFILEDESC = "kwjobs - long-running work as jobs"

SOURCES = kwjobs.c $(sort $(wildcard src/*/*.c))
OBJS = $(SOURCES:.c=.o)
HEADERS_ALL = $(wildcard src/*.h src/*/*.h)

PG_CPPFLAGS = -I$(srcdir)/src
PG_CFLAGS = -Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare \
	-Wno-missing-field-initializers -Wno-cast-function-type
SHLIB_LINK = -lunwind

REGRESS = $(patsubst sql/%.sql,%,$(sort $(wildcard sql/*.sql)))
ISOLATION = $(patsubst specs/%.spec,%,$(sort $(wildcard specs/*.spec)))
ISOLATION_OPTS = --load-extension=kwjobs
TAP_TESTS = 1

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(OBJS): $(HEADERS_ALL)
