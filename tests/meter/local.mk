if HAVE_CHECK
check_PROGRAMS += tests/meter/check_meter
TESTS += tests/meter/check_meter
endif
tests_meter_check_meter_SOURCES = tests/meter/check_meter.c
tests_meter_check_meter_LDADD = $(CHECK_LDADD)

if HAVE_CHECK
check_PROGRAMS += tests/meter/check_books
TESTS += tests/meter/check_books
endif
tests_meter_check_books_SOURCES = tests/meter/check_books.c
tests_meter_check_books_LDADD = $(CHECK_LDADD)

if HAVE_CHECK
check_PROGRAMS += tests/meter/check_jobs
TESTS += tests/meter/check_jobs
endif
tests_meter_check_jobs_SOURCES = tests/meter/check_jobs.c
tests_meter_check_jobs_LDADD = $(CHECK_LDADD)
