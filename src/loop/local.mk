libcrmsync_a_SOURCES += src/loop/loop.c src/loop/loop.h
