libcrmsync_a_SOURCES += src/meter/meter.c src/meter/meter.h src/meter/books.c src/meter/books.h
