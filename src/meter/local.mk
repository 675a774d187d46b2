libcrmsync_a_SOURCES += src/meter/meter.c src/meter/meter.h src/meter/timeline.c src/meter/timeline.h
