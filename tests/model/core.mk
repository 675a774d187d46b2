if HAVE_CHECK
check_PROGRAMS += tests/model/check_vector tests/model/check_decide
TESTS += tests/model/check_vector tests/model/check_decide
endif
tests_model_check_vector_SOURCES = tests/model/check_vector.c
tests_model_check_vector_LDADD = $(CHECK_LDADD)
tests_model_check_decide_SOURCES = tests/model/check_decide.c
tests_model_check_decide_LDADD = $(CHECK_LDADD)
