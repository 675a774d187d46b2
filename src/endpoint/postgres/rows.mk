# the upper half of the PostgreSQL driver
libcrmsync_a_SOURCES += \
	src/endpoint/postgres/pg_attempt.c \
	src/endpoint/postgres/pg_ask.c src/endpoint/postgres/pg_ask.h \
	src/endpoint/postgres/pg_list.c \
	src/endpoint/postgres/pg_rows.c \
	src/endpoint/postgres/pg_load.c \
	src/endpoint/postgres/pg_moment.c src/endpoint/postgres/pg_moment.h \
	src/endpoint/postgres/pg_sums.c src/endpoint/postgres/pg_sums.h \
	src/endpoint/postgres/pg_bytes.c src/endpoint/postgres/pg_bytes.h \
	src/endpoint/postgres/pg_capture.c src/endpoint/postgres/pg_capture.h \
	src/endpoint/postgres/pg_log.c src/endpoint/postgres/pg_poll.c \
	src/endpoint/postgres/pg_path.c src/endpoint/postgres/pg_path.h \
	src/endpoint/postgres/pg_sessions.c src/endpoint/postgres/pg_sessions.h \
	src/endpoint/postgres/pg_spare.c src/endpoint/postgres/pg_spare.h \
	src/endpoint/postgres/pg_state.c \
	src/endpoint/postgres/pg_watermark.c src/endpoint/postgres/pg_watermark.h \
	src/endpoint/postgres/pg_write.c src/endpoint/postgres/pg_write.h \
	src/endpoint/postgres/pg_write_copy.c \
	src/endpoint/postgres/pg_write_cycle.c \
	src/endpoint/postgres/pg_write_sql.c src/endpoint/postgres/pg_write_sql.h \
	src/endpoint/postgres/pg_write_tangle.c \
	src/endpoint/postgres/pg_sql.c src/endpoint/postgres/pg_sql.h \
	src/endpoint/postgres/pg_zone.c src/endpoint/postgres/pg_zone.h \
	src/endpoint/postgres/pg_hset.c src/endpoint/postgres/pg_hset.h
