if HAVE_CHECK
check_PROGRAMS += tests/journal/check_journal tests/journal/check_images
TESTS += tests/journal/check_journal tests/journal/check_images
endif
tests_journal_check_journal_SOURCES = tests/journal/check_journal.c
tests_journal_check_journal_LDADD = $(CHECK_LDADD)
tests_journal_check_images_SOURCES = tests/journal/check_images.c
tests_journal_check_images_LDADD = $(CHECK_LDADD)
