if HAVE_CHECK
check_PROGRAMS += tests/model/check_value tests/model/check_clean tests/model/check_record
TESTS += tests/model/check_value tests/model/check_clean tests/model/check_record
endif
tests_model_check_value_SOURCES = tests/model/check_value.c
tests_model_check_value_LDADD = $(CHECK_LDADD)
tests_model_check_clean_SOURCES = tests/model/check_clean.c
tests_model_check_clean_LDADD = $(CHECK_LDADD)
tests_model_check_record_SOURCES = tests/model/check_record.c
tests_model_check_record_LDADD = $(CHECK_LDADD)
