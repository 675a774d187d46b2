if HAVE_CHECK
check_PROGRAMS += tests/store/check_redis_store
TESTS += tests/store/check_redis_store
endif
tests_store_check_redis_store_SOURCES = tests/store/check_redis_store.c tests/store/redis_server.c tests/store/redis_server.h
tests_store_check_redis_store_LDADD = $(CHECK_LDADD)

check_PROGRAMS += tests/store/bench_redis_store
tests_store_bench_redis_store_SOURCES = tests/store/bench_redis_store.c tests/store/redis_server.c tests/store/redis_server.h
tests_store_bench_redis_store_LDADD = $(CRMSYNC_LIBS)
