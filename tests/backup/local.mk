if HAVE_CHECK
check_PROGRAMS += tests/backup/check_backup
TESTS += tests/backup/check_backup
endif
tests_backup_check_backup_SOURCES = tests/backup/check_backup.c
tests_backup_check_backup_LDADD = $(CHECK_LDADD)
