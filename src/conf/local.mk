libcrmsync_a_SOURCES += \
	src/conf/check.c \
	src/conf/describe.c src/conf/describe.h \
	src/conf/diff.c \
	src/conf/print.c \
	src/conf/problem.c src/conf/problem.h \
	src/conf/read.c src/conf/read.h \
	src/conf/read_parts.c \
	src/conf/redis.c \
	src/conf/secret.c \
	src/conf/setting.c src/conf/setting.h \
	src/conf/table_name.c \
	src/conf/topology.c src/conf/topology.h \
	src/conf/tree.c src/conf/tree.h
# The names of rules, cleaners and checks are the topology's words.
libcrmsync_a_SOURCES += src/model/entity.c src/model/entity.h
