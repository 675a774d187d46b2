if HAVE_CHECK
check_PROGRAMS += tests/sync/check_census tests/sync/check_claims tests/sync/check_fold tests/sync/check_own
TESTS += tests/sync/check_census tests/sync/check_claims tests/sync/check_fold tests/sync/check_own
endif
tests_sync_check_claims_SOURCES = tests/sync/check_claims.c
tests_sync_check_claims_LDADD = $(CHECK_LDADD)
tests_sync_check_census_SOURCES = tests/sync/check_census.c
tests_sync_check_census_LDADD = $(CHECK_LDADD)
tests_sync_check_fold_SOURCES = tests/sync/check_fold.c
tests_sync_check_fold_LDADD = $(CHECK_LDADD)
tests_sync_check_own_SOURCES = tests/sync/check_own.c
tests_sync_check_own_LDADD = $(CHECK_LDADD)
