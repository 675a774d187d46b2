pg_rig = tests/endpoint/pg_rig.c tests/endpoint/pg_rig.h tests/endpoint/pg_server.c tests/endpoint/pg_server.h

if HAVE_CHECK
check_PROGRAMS += tests/endpoint/check_pg_error tests/endpoint/check_pg_endpoint tests/endpoint/check_pg_catalog \
	tests/endpoint/check_pg_install tests/endpoint/check_greet
TESTS += tests/endpoint/check_pg_error tests/endpoint/check_pg_endpoint tests/endpoint/check_pg_catalog \
	tests/endpoint/check_pg_install tests/endpoint/check_greet
endif
tests_endpoint_check_pg_error_SOURCES = tests/endpoint/check_pg_error.c
tests_endpoint_check_pg_error_LDADD = $(CHECK_LDADD)
tests_endpoint_check_pg_endpoint_SOURCES = tests/endpoint/check_pg_endpoint.c $(pg_rig)
tests_endpoint_check_pg_endpoint_LDADD = $(CHECK_LDADD)
tests_endpoint_check_pg_catalog_SOURCES = tests/endpoint/check_pg_catalog.c $(pg_rig)
tests_endpoint_check_pg_catalog_LDADD = $(CHECK_LDADD)
tests_endpoint_check_pg_install_SOURCES = tests/endpoint/check_pg_install.c $(pg_rig)
tests_endpoint_check_pg_install_LDADD = $(CHECK_LDADD)
tests_endpoint_check_greet_SOURCES = tests/endpoint/check_greet.c $(pg_rig)
tests_endpoint_check_greet_LDADD = $(CHECK_LDADD)

include tests/endpoint/rows.mk
