libcrmsync_a_SOURCES += \
	src/base/notify.c src/base/notify.h \
	src/control/backup.c \
	src/control/commands.c \
	src/control/control.c src/control/control.h \
	src/control/history.c \
	src/control/held.c \
	src/control/waiting.c \
	src/control/http.c src/control/http.h \
	src/control/http_parse.c src/control/http_parse.h \
	src/control/jobs.c \
	src/control/lists.c \
	src/control/listen.c src/control/listen.h \
	src/control/metrics.c src/control/ratios.c \
	src/control/migrate.c \
	src/control/page.c \
	src/control/page_hour.c src/control/page_hour.h \
	src/control/page_text.h \
	src/control/pages.h \
	src/control/plan.c \
	src/control/room.h \
	src/control/status.c \
	src/control/summary.c \
	src/control/verify.c

# The status page's script is a file one can read; the binary has it as a string.
nodist_libcrmsync_a_SOURCES += src/control/page_text.c
EXTRA_DIST += src/control/page.js
CLEANFILES += src/control/page_text.c
src/control/page_text.c: src/control/page.js
	$(AM_V_GEN)$(MKDIR_P) src/control && { \
	echo '/* Made by make from page.js. */'; \
	echo '#include "control/page_text.h"'; \
	echo 'const char page_script[] ='; $(as_string) $(srcdir)/src/control/page.js; echo '	;'; } >$@.new && mv $@.new $@
