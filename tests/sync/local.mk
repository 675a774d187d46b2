if HAVE_CHECK
check_PROGRAMS += tests/sync/check_census tests/sync/check_claims
TESTS += tests/sync/check_census tests/sync/check_claims
endif
tests_sync_check_claims_SOURCES = tests/sync/check_claims.c
tests_sync_check_claims_LDADD = $(CHECK_LDADD)
tests_sync_check_census_SOURCES = tests/sync/check_census.c
tests_sync_check_census_LDADD = $(CHECK_LDADD)
