# The fuzz targets. Without libFuzzer a driver of our own runs each for a moment in `make check`; `make fuzz SECONDS=600` runs them long.
FUZZERS = tests/fuzz/fuzz_rules tests/fuzz/fuzz_values tests/fuzz/fuzz_vector tests/fuzz/fuzz_text tests/fuzz/fuzz_http \
	tests/fuzz/fuzz_topology

check_PROGRAMS += $(FUZZERS)
TESTS += tests/fuzz/fuzz_short.sh
EXTRA_DIST += tests/fuzz/fuzz_short.sh
CLEANFILES += tests/fuzz/*.crash

# Of make, not of the shell: bash counts in a variable of that name.
SECONDS = 60

if FUZZING
FUZZ_DRIVER =
FUZZ_LINK = $(AM_LDFLAGS) -fsanitize=fuzzer
FUZZ_RUN = mkdir -p $$target.corpus && $$target -max_total_time=$(SECONDS) -artifact_prefix=$$target. $$target.corpus
else
FUZZ_DRIVER = tests/fuzz/driver.c
FUZZ_LINK = $(AM_LDFLAGS)
FUZZ_RUN = $$target --seconds $(SECONDS) --seed $${SEED:-$$(date +%s)}
endif

tests_fuzz_fuzz_rules_SOURCES = tests/fuzz/fuzz.h tests/fuzz/fuzz_rules.c $(FUZZ_DRIVER)
tests_fuzz_fuzz_rules_LDADD = $(CRMSYNC_LIBS)
tests_fuzz_fuzz_rules_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_values_SOURCES = tests/fuzz/fuzz.h tests/fuzz/fuzz_values.c $(FUZZ_DRIVER)
tests_fuzz_fuzz_values_LDADD = $(CRMSYNC_LIBS)
tests_fuzz_fuzz_values_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_vector_SOURCES = tests/fuzz/fuzz.h tests/fuzz/fuzz_vector.c $(FUZZ_DRIVER)
tests_fuzz_fuzz_vector_LDADD = $(CRMSYNC_LIBS)
tests_fuzz_fuzz_vector_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_text_SOURCES = tests/fuzz/fuzz.h tests/fuzz/fuzz_text.c $(FUZZ_DRIVER)
tests_fuzz_fuzz_text_LDADD = $(CRMSYNC_LIBS)
tests_fuzz_fuzz_text_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_http_SOURCES = tests/fuzz/fuzz.h tests/fuzz/fuzz_http.c $(FUZZ_DRIVER)
tests_fuzz_fuzz_http_LDADD = $(CRMSYNC_LIBS)
tests_fuzz_fuzz_http_LDFLAGS = $(FUZZ_LINK)
tests_fuzz_fuzz_topology_SOURCES = tests/fuzz/fuzz.h tests/fuzz/fuzz_topology.c $(FUZZ_DRIVER)
tests_fuzz_fuzz_topology_LDADD = $(CRMSYNC_LIBS)
tests_fuzz_fuzz_topology_LDFLAGS = $(FUZZ_LINK)

.PHONY: fuzz
fuzz: $(FUZZERS)
	@for target in $(FUZZERS); do $(FUZZ_RUN) || exit 1; done
