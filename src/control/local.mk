libcrmsync_a_SOURCES += \
	src/base/notify.c src/base/notify.h \
	src/control/backup.c \
	src/control/commands.c \
	src/control/control.c src/control/control.h \
	src/control/history.c \
	src/control/held.c \
	src/control/waiting.c \
	src/control/html.c src/control/html.h \
	src/control/http.c src/control/http.h \
	src/control/http_parse.c src/control/http_parse.h \
	src/control/jobs.c \
	src/control/lists.c \
	src/control/listen.c src/control/listen.h \
	src/control/metrics.c src/control/ratios.c \
	src/control/page.c \
	src/control/page_hour.c src/control/page_hour.h \
	src/control/page_text.h \
	src/control/pages.h \
	src/control/plan.c \
	src/control/room.h \
	src/control/status.c \
	src/control/summary.c \
	src/control/verify.c

# The status page's style and script are files one can read; the binary has them as two strings.
nodist_libcrmsync_a_SOURCES = src/control/page_text.c
page_files = $(srcdir)/src/control/page.css $(srcdir)/src/control/page.js
EXTRA_DIST += $(page_files)
CLEANFILES += src/control/page_text.c
as_string = $(SED) 's/[\\"]/\\&/g; s/.*/	"&\\n"/'
src/control/page_text.c: $(page_files)
	$(AM_V_GEN)$(MKDIR_P) src/control && { \
	echo '/* Made by make from page.css and page.js. */'; \
	echo '#include "control/page_text.h"'; \
	echo 'const char page_style[] ='; $(as_string) $(srcdir)/src/control/page.css; echo '	;'; \
	echo 'const char page_script[] ='; $(as_string) $(srcdir)/src/control/page.js; echo '	;'; } >$@.new && mv $@.new $@
