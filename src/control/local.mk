libcrmsync_a_SOURCES += \
	src/base/notify.c src/base/notify.h \
	src/control/commands.c \
	src/control/control.c src/control/control.h \
	src/control/history.c \
	src/control/held.c \
	src/control/waiting.c \
	src/control/http.c src/control/http.h \
	src/control/http_parse.c src/control/http_parse.h \
	src/control/lists.c \
	src/control/listen.c src/control/listen.h \
	src/control/metrics.c \
	src/control/pages.h \
	src/control/plan.c \
	src/control/room.h \
	src/control/status.c \
	src/control/summary.c \
	src/control/verify.c
