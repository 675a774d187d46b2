if HAVE_CHECK
check_PROGRAMS += tests/sync/check_claims
TESTS += tests/sync/check_claims
endif
tests_sync_check_claims_SOURCES = tests/sync/check_claims.c
tests_sync_check_claims_LDADD = $(CHECK_LDADD)
