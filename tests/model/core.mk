if HAVE_CHECK
check_PROGRAMS += tests/model/check_vector tests/model/check_decide tests/model/check_algebra
TESTS += tests/model/check_vector tests/model/check_decide tests/model/check_algebra
endif
tests_model_check_vector_SOURCES = tests/model/check_vector.c
tests_model_check_vector_LDADD = $(CHECK_LDADD)
tests_model_check_decide_SOURCES = tests/model/check_decide.c
tests_model_check_decide_LDADD = $(CHECK_LDADD)
tests_model_check_algebra_SOURCES = tests/model/check_algebra.c
tests_model_check_algebra_LDADD = $(CHECK_LDADD)
