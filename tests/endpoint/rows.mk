# tests of the upper half of the PostgreSQL driver
if HAVE_CHECK
check_PROGRAMS += tests/endpoint/check_capture tests/endpoint/check_rows tests/endpoint/check_write tests/endpoint/check_zone
TESTS += tests/endpoint/check_capture tests/endpoint/check_rows tests/endpoint/check_write tests/endpoint/check_zone
endif
endpoint_rig = tests/endpoint/rig.c tests/endpoint/rig.h tests/endpoint/pg_server.c tests/endpoint/pg_server.h
tests_endpoint_check_capture_SOURCES = tests/endpoint/check_capture.c $(endpoint_rig)
tests_endpoint_check_capture_LDADD = $(CHECK_LDADD)
tests_endpoint_check_rows_SOURCES = tests/endpoint/check_rows.c $(endpoint_rig)
tests_endpoint_check_rows_LDADD = $(CHECK_LDADD)
tests_endpoint_check_write_SOURCES = tests/endpoint/check_write.c $(endpoint_rig)
tests_endpoint_check_write_LDADD = $(CHECK_LDADD)
tests_endpoint_check_zone_SOURCES = tests/endpoint/check_zone.c $(endpoint_rig)
tests_endpoint_check_zone_LDADD = $(CHECK_LDADD)
