libcrmsync_a_SOURCES += \
	src/meter/books.c src/meter/books.h \
	src/meter/debts.c src/meter/debts.h \
	src/meter/jobs.c src/meter/jobs.h \
	src/meter/meter.c src/meter/meter.h \
	src/meter/timeline.c src/meter/timeline.h
