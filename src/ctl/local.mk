# Shares base/ and conf/ with the daemon, so it links none of the libraries by which that speaks to others.
crmsyncctl_SOURCES = \
	src/ctl/asking.h \
	src/ctl/backup.c \
	src/ctl/client.c \
	src/ctl/complete.c \
	src/ctl/commands.c \
	src/ctl/ctl.h \
	src/ctl/find.c \
	src/ctl/history.c \
	src/ctl/held.c \
	src/ctl/main.c \
	src/ctl/migrate.c \
	src/ctl/new_file.c src/ctl/new_file.h \
	src/ctl/plan.c \
	src/ctl/progress.c \
	src/ctl/ratios.c \
	src/ctl/report.c src/ctl/report.h \
	src/ctl/status.c \
	src/ctl/story.c \
	src/ctl/table.c \
	src/ctl/verify.c \
	src/ctl/waiting.c
crmsyncctl_CPPFLAGS = $(AM_CPPFLAGS) -DSBINDIR=\"$(sbindir)\"
crmsyncctl_LDADD = libcrmsync.a $(JANSSON_LIBS) $(YAML_LIBS) $(XXHASH_LIBS)
