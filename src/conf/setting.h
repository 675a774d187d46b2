/*
 * setting.h - every setting of the topology file as a row of one table.
 *
 * Inside conf/. From the table come the reader, --print-config, --print-schema and the list that the manual and the
 * sample are held against; a new setting is a new row. Rows stand in the order in which they are read and printed.
 *
 * A path names the place: "*" stands for a name of the operator's. `at` is an offset into the structure of the
 * nearest enclosing "*" row (the topology itself where there is none):
 *
 *   endpoints.*		struct endpoint_conf
 *   entities.*			struct entity_conf
 *   entities.*.fields.*	struct field_def
 *   entities.*.mappings.*	struct mapping
 */
#ifndef CONF_SETTING_H
#define CONF_SETTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct node;
struct printer;
struct reader;
struct setting;

enum setting_type {
	SET_MAP,		/* a map of the settings below it */
	SET_NAMED,		/* a map of named things; read by `read`, printed by `print` */
	SET_TEXT,		/* char *: any text, not empty, at most `max` bytes */
	SET_NAME,		/* char *: letters, digits, _ and -, beginning with a letter, at most 63 */
	SET_PATH,		/* char *: absolute */
	SET_SOCKET,		/* char *: absolute, short enough for a socket address */
	SET_SECRET,		/* char *: a file that only its owner can read; relative to the topology's directory */
	SET_INTEGER,		/* int64_t */
	SET_DURATION,		/* int64_t, microseconds */
	SET_SIZE,		/* int64_t, bytes */
	SET_SHARE,		/* double 0..1, written as a percentage */
	SET_BOOLEAN,		/* bool: false or true, or the two words of `word` */
	SET_CHOICE,		/* an enum: its words in order */
	SET_OWN,		/* none of these: `read`, `print`, `schema`, `wants` */
	SET_LATER,		/* recognised, not built yet in this version */
	SETTING_TYPES
};

typedef const char *word_fn(size_t i);	/* NULL past the last */
typedef bool built_fn(size_t i);
typedef void read_fn(struct reader *, const struct setting *, const struct node *, void *base);
typedef void print_fn(struct printer *, const struct setting *, const void *base);

struct setting {
	const char *path;
	enum setting_type type;
	size_t at;
	const char *def;		/* as it would be written; NULL: none */
	bool required;
	bool or_zero;			/* 0 is allowed although it is below `min` */
	int64_t min, max;
	word_fn *word;
	built_fn *built;		/* NULL: all words */
	read_fn *read;
	print_fn *print;
	const char *schema;		/* SET_OWN: JSON */
	const char *wants;		/* SET_OWN: the type in a word or two */
	const char *help;
};

extern const struct setting settings[];
extern const size_t n_settings;

/* The row of exactly that path pattern; it must exist. */
const struct setting *setting_at(const char *path);
/* The next row directly below `parent` ("" for the top) after `s` (NULL: the first); NULL at the end. */
const struct setting *setting_next(const char *parent, const struct setting *s);
/* The last part of the path. */
const char *setting_key(const struct setting *s);
/* What a value of it looks like, for people: "duration", "one of poll, listen". */
void setting_type_text(struct buf *out, const struct setting *s);

/* Rows with readers and printers of their own: read_*.c and print.c. */
read_fn read_version, read_redis, read_listen, read_endpoints, read_entities, read_key, read_fields, read_refers, read_clean,
	read_checks, read_priority, read_field_rules, read_groups, read_mappings, read_columns, read_delete, read_where,
	read_verify;
print_fn print_version, print_redis, print_listen, print_endpoints, print_entities, print_key, print_fields, print_refers, print_clean,
	print_checks, print_priority, print_field_rules, print_groups, print_mappings, print_columns, print_delete, print_where,
	print_verify;

#endif
