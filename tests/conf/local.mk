if HAVE_CHECK
check_PROGRAMS += tests/conf/check_topology tests/conf/check_bad_topology tests/conf/check_words
TESTS += tests/conf/check_topology tests/conf/check_bad_topology tests/conf/check_words
endif
tests_conf_check_topology_SOURCES = tests/conf/check_topology.c
tests_conf_check_topology_LDADD = $(CHECK_LDADD)
tests_conf_check_bad_topology_SOURCES = tests/conf/check_bad_topology.c
tests_conf_check_bad_topology_LDADD = $(CHECK_LDADD)
tests_conf_check_words_SOURCES = tests/conf/check_words.c
tests_conf_check_words_LDADD = $(CHECK_LDADD)
