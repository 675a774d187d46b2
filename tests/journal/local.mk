if HAVE_CHECK
check_PROGRAMS += tests/journal/check_journal
TESTS += tests/journal/check_journal
endif
tests_journal_check_journal_SOURCES = tests/journal/check_journal.c
tests_journal_check_journal_LDADD = $(CHECK_LDADD)
