if HAVE_CHECK
check_PROGRAMS += tests/base/check_base tests/base/check_loop
TESTS += tests/base/check_base tests/base/check_loop
endif
tests_base_check_base_SOURCES = tests/base/check_base.c
tests_base_check_base_LDADD = $(CHECK_LDADD)
tests_base_check_loop_SOURCES = tests/base/check_loop.c
tests_base_check_loop_LDADD = $(CHECK_LDADD)
