if HAVE_CHECK
check_PROGRAMS += tests/control/check_control tests/control/check_notify tests/control/check_ctl tests/control/check_find \
	tests/control/check_manuals tests/control/check_page
TESTS += tests/control/check_control tests/control/check_notify tests/control/check_ctl tests/control/check_find \
	tests/control/check_manuals tests/control/check_page
endif
# The fake sync stands before the library, so that the real one is not pulled in.
control_fakes = tests/control/fake_sync.c tests/control/fake_sync.h tests/control/served.c tests/control/served.h
tests_control_check_control_SOURCES = tests/control/check_control.c $(control_fakes)
tests_control_check_control_LDADD = $(CHECK_LDADD)
# Runs ./crmsyncctl, which `make check` has built before.
tests_control_check_ctl_SOURCES = tests/control/check_ctl.c $(control_fakes)
tests_control_check_ctl_LDADD = $(CHECK_LDADD)
tests_control_check_find_SOURCES = tests/control/check_find.c src/ctl/find.c src/ctl/progress.c src/ctl/ratios.c src/ctl/status.c src/ctl/table.c
tests_control_check_find_LDADD = $(CHECK_LDADD)
tests_control_check_notify_SOURCES = tests/control/check_notify.c
tests_control_check_notify_LDADD = $(CHECK_LDADD)
tests_control_check_page_SOURCES = tests/control/check_page.c
tests_control_check_page_LDADD = $(CHECK_LDADD)
tests_control_check_manuals_SOURCES = tests/control/check_manuals.c tests/control/fake_sync.c tests/control/fake_sync.h \
	src/ctl/backup.c src/ctl/client.c src/ctl/commands.c src/ctl/find.c src/ctl/held.c src/ctl/new_file.c src/ctl/progress.c src/ctl/ratios.c src/ctl/status.c src/ctl/story.c src/ctl/waiting.c \
	src/ctl/table.c
tests_control_check_manuals_CPPFLAGS = $(AM_CPPFLAGS) -DMANUALS=\"$(abs_top_srcdir)/man\" -DSBINDIR=\"$(sbindir)\"
tests_control_check_manuals_LDADD = $(CHECK_LDADD)
