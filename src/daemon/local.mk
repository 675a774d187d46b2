libcrmsync_a_SOURCES += \
	src/daemon/daemon.c src/daemon/daemon.h \
	src/daemon/restore.c src/daemon/restore.h \
	src/daemon/version.c src/daemon/version.h
