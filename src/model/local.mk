libcrmsync_a_SOURCES += \
	src/model/clean.c src/model/clean.h \
	src/model/record.c src/model/record.h \
	src/model/value.c src/model/value.h \
	src/model/value_canon.h \
	src/model/value_json.c \
	src/model/value_number.c \
	src/model/value_time.c
