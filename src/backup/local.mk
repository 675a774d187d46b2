libcrmsync_a_SOURCES += \
	src/backup/backup.c src/backup/backup.h
