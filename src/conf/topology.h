/*
 * topology.h - the topology file, read and checked (CONTRACT: crmsyncd.yaml(5)).
 *
 * topology_load() reads the whole file or nothing: all errors in one run, each with file, line, column
 * and key path. A topology is constant after loading and owns all it points to.
 */
#ifndef CONF_TOPOLOGY_H
#define CONF_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "model/entity.h"

struct buf;

enum driver { DRIVER_POSTGRES, DRIVER_MARIADB, DRIVER_FILE, DRIVER_HTTP, DRIVER_QUEUE };
enum capture { CAPTURE_POLL, CAPTURE_LISTEN, CAPTURE_WAL };
enum role { ROLE_BOTH, ROLE_SOURCE, ROLE_TARGET };
enum delete_mode { DELETE_HARD, DELETE_SOFT, DELETE_IGNORE };

struct endpoint_conf {
	char *name;
	size_t index;			/* in topology.endpoints; also its bit in masks */
	enum driver driver;
	char *connection;		/* may hold a password: never print it; see conf_redact() */
	char *password_file;
	enum capture capture;
	bool notify;			/* listen: NOTIFY as a wake-up; false where two-phase commit is used */
	int64_t interval_us;		/* poll period; for listen the safety poll */
	int64_t sweep_us;		/* full compare; 0: never */
	bool install_auto;
	int64_t connections;
	int64_t overlap_us;		/* poll: how far to read back behind the bound when it is not exact */
	int64_t statement_timeout_us, lock_timeout_us;
	char *zone;			/* of its timestamps without time zone */
};

struct where_item {
	char *column;
	char *value;			/* as text; NULL: is null */
};

struct mapping {
	struct entity_def *entity;
	struct endpoint_conf *endpoint;
	char *table;			/* as written: [schema.]name */
	enum role role;
	char *id;			/* local primary key column; NULL: the table's primary key */
	char *modified;			/* NULL: none */
	char *zone;			/* of its timestamps without time zone; NULL: the endpoint's */
	char **columns;			/* by field index; never NULL after loading for mapped fields */
	enum delete_mode delete_mode;
	char *delete_column, *delete_set;
	struct where_item *where;
	size_t n_where;
};

struct entity_conf {
	struct entity_def def;
	struct mapping *mapping[ENDPOINTS_MAX];	/* by endpoint index; NULL: not mapped there */
	int64_t verify_us;			/* how often; 0: only when asked */
};

/* Where a setting stands in the file, from 1; 0: it does not. */
struct conf_place { unsigned line, column; };

struct topology {
	char *file;
	char *name;
	struct conf_place name_at, directory_at;	/* of `topology` and `journal.directory`, to which a running daemon is bound */
	struct {
		char *redis;		/* as written; redacted when it holds a password */
		char *password_file;
		char *unix_path;	/* or */
		char *host;
		uint16_t port;
		int64_t database;
		char *user, *password;	/* NULL: none */
	} state;
	struct {
		char *socket, *listen;	/* listen: "host:port" or NULL */
	} stats;
	struct {
		char *socket;
	} control;
	struct {
		char *directory;
		int64_t keep_us;
	} journal;
	struct {
		int64_t batch_rows, batch_bytes, rounds;	/* bounds of one round; rounds in flight an entity */
		int64_t value_bytes;				/* a longer value is not fetched: its record is parked */
		int64_t max_ahead_us;				/* a stamp further in the future is clamped */
	} limits;
	struct endpoint_conf *endpoints;
	size_t n_endpoints;
	struct entity_conf *entities;	/* parents before children (a reference to itself aside) */
	size_t n_entities;
};

/* One problem: "FILE:LINE:COLUMN: path.to.key: what is wrong". */
struct conf_problem {
	unsigned line, column;		/* from 1; 0: the file as a whole */
	char *path, *text;
};
struct conf_problems {
	struct conf_problem *list;
	size_t n;
};

/*
 * Does its driver understand this endpoint's connection string? Asked without network. False: `why` says what is wrong with it;
 * no secret of it may show there. A driver stands above this room, so whoever loads a topology brings its word along.
 */
typedef bool conf_connection_fn(const struct endpoint_conf *, char *why, size_t why_size);

/* NULL when there is any problem; problems are then at least one, in order of line. Reads secrets from their files.
 * `understands` NULL: connection strings are taken as they are. */
struct topology *topology_load(const char *file, conf_connection_fn *understands, struct conf_problems *problems);
struct topology *topology_parse(const char *file, const char *text, size_t len, conf_connection_fn *understands,
				struct conf_problems *problems);
void topology_free(struct topology **);
/* The control socket that a file names, the default when it names none or `file` is NULL; the rest of it is not judged, only that it
 * is what any topology is: YAML of the kind that is taken here. NULL when there is any problem. The caller frees. */
char *topology_control_socket(const char *file, struct conf_problems *problems);
/* What is other in `is` and must not be while the daemon runs: the journal and the state in Redis are bound to it. */
void topology_check_bound(const struct topology *was, const struct topology *is, struct conf_problems *problems);
/* A line a problem, as whoever reads the file wants them: FILE:LINE:COLUMN: path.to.key: what is wrong. */
void conf_problems_text(const struct conf_problems *, const char *file, struct buf *out);
void conf_problems_print(const struct conf_problems *, const char *file, FILE *to);
void conf_problems_fini(struct conf_problems *);

/* The effective topology with all defaults, secrets redacted, as YAML that loads again. */
void topology_print(const struct topology *, struct buf *out);
/* What is different in `is`, a line a setting: "endpoints.sales.interval: 1s -> 5s"; with "+ " or "- " in front what was not or
 * is not there. No secrets. Returns how many. */
size_t topology_diff(const struct topology *was, const struct topology *is, struct buf *out);
/* JSON Schema (2020-12) of the file, from the same table as the parser. */
void topology_print_schema(struct buf *out);
/* Every setting once, for the manual and for tests: calls fn(path, type, default or NULL, help). */
void topology_each_setting(void (*fn)(const char *path, const char *type, const char *def, const char *help, void *arg), void *arg);

/* A connection string with the password taken out, for messages. */
void conf_redact(struct buf *out, const char *connection);
/*
 * Reads a secret's file: refuses one that group or others can read (but for systemd's credentials, whose directory
 * nobody else can enter); strips one newline. $CREDENTIALS_DIRECTORY/NAME is the credential of that name, wherever systemd put
 * it. NULL: `why` says why, without a newline. Give it back with conf_secret_free().
 */
bool conf_secret_is_credential(const char *file);	/* is it named in that way? */
char *conf_read_secret(const char *file, char *why, size_t why_size);
void conf_secret_free(char **secret);		/* wipes it first; NULL is fine */

/* "NAME built with X, runs on Y", for --version; into the caller's room. */
const char *conf_library(char *out, size_t size);
/* [schema.]table, as it is or in double quotes with "" for a quote: its parts, each of 1 to 63 bytes; schema NULL when it names
 * none. False: it is no table's name. The caller frees both. */
bool table_name_split(const char *text, char **schema, char **name);
/* The zone in which the table's timestamps without time zone are to be read. */
const char *mapping_zone(const struct mapping *);
const struct mapping *topology_mapping(const struct topology *, size_t entity, size_t endpoint);
const char *driver_name(enum driver);
const char *capture_name(enum capture);
const char *role_name(enum role);

#endif
