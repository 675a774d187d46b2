libcrmsync_a_SOURCES += \
	src/base/arena.c src/base/arena.h \
	src/base/buf.c src/base/buf.h \
	src/base/clock.c src/base/clock.h \
	src/base/digest.c src/base/digest.h \
	src/base/err.c src/base/err.h \
	src/base/failpoint.c src/base/failpoint.h \
	src/base/fault.c src/base/fault.h \
	src/base/html.c src/base/html.h \
	src/base/log.c src/base/log.h \
	src/base/mem.c src/base/mem.h \
	src/base/object.c src/base/object.h \
	src/base/seal.c src/base/seal.h \
	src/base/std_fds.c src/base/std_fds.h \
	src/base/text.c src/base/text.h \
	src/base/words.c src/base/words.h

# The style of our pages is a file one can read; the binaries have it as a string.
nodist_libcrmsync_a_SOURCES = src/base/page_style.c
EXTRA_DIST += src/base/page.css
CLEANFILES += src/base/page_style.c
as_string = $(SED) 's/[\\"]/\\&/g; s/.*/	"&\\n"/'
src/base/page_style.c: src/base/page.css
	$(AM_V_GEN)$(MKDIR_P) src/base && { \
	echo '/* Made by make from page.css. */'; \
	echo '#include "base/html.h"'; \
	echo 'const char html_style[] ='; $(as_string) $(srcdir)/src/base/page.css; echo '	;'; } >$@.new && mv $@.new $@
