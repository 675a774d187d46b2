if HAVE_CHECK
check_PROGRAMS += tests/conf/check_topology tests/conf/check_bad_topology tests/conf/check_words tests/conf/check_diff
TESTS += tests/conf/check_topology tests/conf/check_bad_topology tests/conf/check_words tests/conf/check_diff
endif
tests_conf_check_topology_SOURCES = tests/conf/check_topology.c
tests_conf_check_topology_LDADD = $(CHECK_LDADD)
tests_conf_check_bad_topology_SOURCES = tests/conf/check_bad_topology.c
tests_conf_check_bad_topology_LDADD = $(CHECK_LDADD)
tests_conf_check_words_SOURCES = tests/conf/check_words.c
tests_conf_check_words_LDADD = $(CHECK_LDADD)
tests_conf_check_diff_SOURCES = tests/conf/check_diff.c
tests_conf_check_diff_LDADD = $(CHECK_LDADD)
