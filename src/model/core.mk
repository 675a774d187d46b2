libcrmsync_a_SOURCES += \
	src/model/decide.c src/model/decide.h \
	src/model/decide_add.c \
	src/model/decide_extreme.c \
	src/model/decide_follow.c \
	src/model/decide_imposed.c \
	src/model/decide_life.c \
	src/model/decide_manual.c \
	src/model/decide_orders.c \
	src/model/decide_work.h \
	src/model/doubt.c src/model/doubt.h \
	src/model/vector.c src/model/vector.h
