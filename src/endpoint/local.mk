libcrmsync_a_SOURCES += \
	src/endpoint/endpoint.c src/endpoint/endpoint.h \
	src/endpoint/postgres/pg.h \
	src/endpoint/postgres/pg_alike.c src/endpoint/postgres/pg_alike.h \
	src/endpoint/postgres/pg_backlog.c \
	src/endpoint/postgres/pg_catalog.c \
	src/endpoint/postgres/pg_conn.c src/endpoint/postgres/pg_conn.h \
	src/endpoint/postgres/pg_endpoint.c src/endpoint/postgres/pg_endpoint.h \
	src/endpoint/postgres/pg_connection.c \
	src/endpoint/postgres/pg_error.c \
	src/endpoint/postgres/pg_fit.c src/endpoint/postgres/pg_fit.h src/endpoint/postgres/pg_fit_parts.c \
	src/endpoint/postgres/pg_install.c src/endpoint/postgres/pg_install.h \
	src/endpoint/postgres/pg_promises.c \
	src/endpoint/postgres/pg_resolve.c src/endpoint/postgres/pg_resolve.h \
	src/endpoint/postgres/pg_rowset.c \
	src/endpoint/postgres/pg_silence.c

include src/endpoint/postgres/rows.mk
