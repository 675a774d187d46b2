libcrmsync_a_SOURCES += \
	src/store/redis_buckets.c \
	src/store/redis_copy.c \
	src/store/redis_fresh.c src/store/redis_fresh.h \
	src/store/redis_lease.c \
	src/store/redis_link.c src/store/redis_link.h \
	src/store/redis_map.c \
	src/store/redis_open.c \
	src/store/redis_past.c \
	src/store/redis_store.c src/store/redis_store.h \
	src/store/redis_tx.c \
	src/store/redis_vectors.c \
	src/store/resolve.c src/store/resolve.h \
	src/store/resp.h \
	src/store/store.h
EXTRA_DIST += doc/store.md
