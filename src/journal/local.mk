libcrmsync_a_SOURCES += \
	src/journal/journal.c src/journal/journal.h \
	src/journal/journal_copy.c \
	src/journal/journal_db.c src/journal/journal_db.h \
	src/journal/journal_decisions.c \
	src/journal/journal_held.c \
	src/journal/journal_images.c src/journal/journal_images.h \
	src/journal/journal_parked.c \
	src/journal/journal_spent.c \
	src/journal/journal_waiting.c \
	src/journal/room.h
