include tests/model/core.mk

SIM_SOURCES = \
	tests/sim/rng.h tests/sim/world.h \
	tests/sim/world.c tests/sim/plan.c tests/sim/db.c tests/sim/history.c tests/sim/apps.c tests/sim/saving.c \
	tests/sim/fake_rows.h tests/sim/fake_rows.c tests/sim/fake_op.h tests/sim/fake_capture.c tests/sim/fake_write.c \
	tests/sim/fake_endpoint.c tests/sim/fake_store.c tests/sim/oracle.c tests/sim/check.c tests/sim/check_books.c tests/sim/roll_back.c \
	tests/sim/unique.c tests/sim/undo.c

check_PROGRAMS += tests/sim/sim
tests_sim_sim_SOURCES = $(SIM_SOURCES) tests/sim/sim.c
tests_sim_sim_LDADD = $(CRMSYNC_LIBS)

EXTRA_DIST += tests/sim/sim_short.sh
TESTS += tests/sim/sim_short.sh
