#include "conf/setting.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/topology.h"

/* ---- words ------------------------------------------------------------------------------------------- */

#define WORDS(fn, ...) \
	static const char *fn(size_t i) \
	{ \
		static const char *const words[] = { __VA_ARGS__ }; \
		return i < countof(words) ? words[i] : NULL; \
	}

WORDS(driver_word, "postgres", "mariadb", "file", "http", "queue")
WORDS(capture_word, "poll", "listen", "wal")
WORDS(role_word, "both", "source", "target")
WORDS(install_word, "manual", "auto")
WORDS(invalid_word, "park", "null", "flag")
WORDS(deletes_word, "update-wins", "delete-wins")
WORDS(boolean_word, "false", "true")

const char *driver_name(enum driver driver)
{
	return driver_word((size_t)driver);
}

const char *capture_name(enum capture capture)
{
	return capture_word((size_t)capture);
}

const char *role_name(enum role role)
{
	return role_word((size_t)role);
}

static const char *rule_word(size_t i)
{
	return i < RULES ? rule_name((enum rule)i) : NULL;
}

static const char *field_type_word(size_t i)
{
	return i < FIELD_TYPES ? field_type_name((enum field_type)i) : NULL;
}

static bool driver_built(size_t i)
{
	return i == DRIVER_POSTGRES;
}

static bool capture_built(size_t i)
{
	return i == CAPTURE_POLL || i == CAPTURE_LISTEN;
}

static bool rule_built(size_t i)
{
	return rule_is_built((enum rule)i);
}

/* ---- the table --------------------------------------------------------------------------------------- */

#define MS(n)	((int64_t)(n) * 1000)
#define SECS(n)	((int64_t)(n) * 1000000)
#define DAYS(n)	(SECS(86400) * (n))

#define TOP(m)	offsetof(struct topology, m)
#define ENDP(m)	offsetof(struct endpoint_conf, m)
#define ENT(m)	offsetof(struct entity_conf, m)
#define FIELD(m) offsetof(struct field_def, m)
#define MAPP(m)	offsetof(struct mapping, m)

#define NAME_PATTERN "^[A-Za-z][A-Za-z0-9_-]{0,62}$"
#define SCHEMA_NAME "{\"type\": \"string\", \"pattern\": \"" NAME_PATTERN "\"}"
#define SCHEMA_TEXT "{\"type\": [\"string\", \"number\", \"boolean\"]}"
#define SCHEMA_TEXT_OR_NULL "{\"type\": [\"string\", \"number\", \"boolean\", \"null\"]}"

const struct setting settings[] = {
	{ .path = "version", .type = SET_OWN, .required = true, .wants = "1", .read = read_version, .print = print_version,
	  .schema = "{\"const\": 1}",
	  .help = "The version of this file's grammar: always 1." },
	{ .path = "topology", .type = SET_NAME, .at = TOP(name), .required = true,
	  .help = "Names this installation; part of every Redis key and of every origin mark. Changing it starts from nothing." },

	{ .path = "state", .type = SET_MAP, .help = "Where the last-seen vectors are kept." },
	{ .path = "state.redis", .type = SET_OWN, .def = "unix:/run/redis/redis-server.sock", .wants = "Redis address",
	  .read = read_redis, .print = print_redis,
	  .schema = "{\"type\": \"string\", \"pattern\": \"^(unix:/|redis://|rediss://)\"}",
	  .help = "Address of the Redis server: unix:/path, unix:///path?db=N, redis://[user:password@]host[:port][/db]; rediss:// is not built yet." },
	{ .path = "state.password_file", .type = SET_SECRET, .at = TOP(state.password_file),
	  .help = "File that holds the Redis password. $CREDENTIALS_DIRECTORY/NAME is a credential of systemd's." },

	{ .path = "stats", .type = SET_MAP, .help = "The read-only HTTP service: the status page at /, /metrics, /status, /healthz, /readyz." },
	{ .path = "stats.socket", .type = SET_SOCKET, .at = TOP(stats.socket), .def = "/run/crmsyncd/stats.sock",
	  .help = "Unix socket on which the statistics are served." },
	{ .path = "stats.listen", .type = SET_OWN, .wants = "host:port", .read = read_listen, .print = print_listen,
	  .schema = "{\"type\": \"string\", \"pattern\": \":[0-9]{1,5}$\"}",
	  .help = "The same over TCP at this host:port, where a browser finds the status page; off when left out." },

	{ .path = "control", .type = SET_MAP, .help = "The service behind crmsyncctl." },
	{ .path = "control.socket", .type = SET_SOCKET, .at = TOP(control.socket), .def = "/run/crmsyncd/control.sock",
	  .help = "Unix socket for crmsyncctl; created with mode 0600." },

	{ .path = "journal", .type = SET_MAP, .help = "The local record of decisions, before-images and parked records." },
	{ .path = "journal.directory", .type = SET_PATH, .at = TOP(journal.directory), .def = "/var/lib/crmsyncd",
	  .help = "Directory of the journal; created with mode 0700 when it is missing." },
	{ .path = "journal.keep", .type = SET_DURATION, .at = TOP(journal.keep_us), .def = "30d", .min = SECS(3600), .max = DAYS(3650),
	  .help = "How long decisions and before-images are kept. Parked records stay until they are settled." },

	{ .path = "limits", .type = SET_MAP, .help = "Bounds of one round of work; the daemon's memory follows from them." },
	{ .path = "limits.batch_rows", .type = SET_INTEGER, .at = TOP(limits.batch_rows), .def = "1500", .min = 1, .max = 100000,
	  .help = "Most records in one round." },
	{ .path = "limits.batch_bytes", .type = SET_SIZE, .at = TOP(limits.batch_bytes), .def = "4MiB", .min = 64 << 10, .max = 1 << 30,
	  .help = "Most bytes of row values that are captured or listed for one round; a single row may be more." },
	{ .path = "limits.value_bytes", .type = SET_SIZE, .at = TOP(limits.value_bytes), .def = "64MiB", .min = 64 << 10, .max = 256 << 20,
	  .help = "A value of more bytes is not fetched: its record is parked." },
	{ .path = "limits.rounds", .type = SET_INTEGER, .at = TOP(limits.rounds), .def = "4", .min = 1, .max = 16,
	  .help = "Rounds of one entity that may be under way at the same time; one more where these wait for news." },
	{ .path = "limits.max_ahead", .type = SET_DURATION, .at = TOP(limits.max_ahead_us), .def = "60s", .min = 0, .max = DAYS(1),
	  .help = "A modification time further in the future than this counts as only that far ahead." },

	{ .path = "endpoints", .type = SET_NAMED, .required = true, .read = read_endpoints, .print = print_endpoints,
	  .help = "The databases, each under a name of your choice; at most 32." },
	{ .path = "endpoints.*", .type = SET_MAP, .help = "One database." },
	{ .path = "endpoints.*.driver", .type = SET_CHOICE, .at = ENDP(driver), .required = true, .word = driver_word, .built = driver_built,
	  .help = "What kind of system it is." },
	{ .path = "endpoints.*.connection", .type = SET_TEXT, .at = ENDP(connection), .required = true, .max = 4096,
	  .help = "How to connect: libpq keywords (host=... dbname=... user=...) or a postgresql:// address. The client library's own defaults and environment apply." },
	{ .path = "endpoints.*.password_file", .type = SET_SECRET, .at = ENDP(password_file),
	  .help = "File that holds the password for the connection. $CREDENTIALS_DIRECTORY/NAME is a credential of systemd's." },
	{ .path = "endpoints.*.capture", .type = SET_CHOICE, .at = ENDP(capture), .def = "listen", .word = capture_word, .built = capture_built,
	  .help = "How changes are found: listen keeps a change log by trigger in the database and sees every change and delete at once; poll asks for rows by their modified column and finds deletes only by sweeping." },
	{ .path = "endpoints.*.notify", .type = SET_BOOLEAN, .at = ENDP(notify), .def = "true", .word = boolean_word,
	  .help = "listen: wake the daemon by NOTIFY. Set it to false where two-phase commit is used or thousands of transactions commit each second; changes then wait for the next interval." },
	{ .path = "endpoints.*.interval", .type = SET_DURATION, .at = ENDP(interval_us), .def = "1s", .min = MS(10), .max = DAYS(1),
	  .help = "poll: how often to look. listen: how often to look although nothing was announced." },
	{ .path = "endpoints.*.overlap", .type = SET_DURATION, .at = ENDP(overlap_us), .def = "1s", .min = 0, .max = DAYS(1),
	  .help = "poll: how far to read back when the start of the oldest open transaction is not known exactly. As long as the longest transaction that writes there." },
	{ .path = "endpoints.*.sweep", .type = SET_DURATION, .at = ENDP(sweep_us), .def = "1h", .min = MS(100), .max = DAYS(365), .or_zero = true,
	  .help = "How often every row is compared with what was last seen: finds deletes and changes that no cursor shows. 0s: never." },
	{ .path = "endpoints.*.install", .type = SET_BOOLEAN, .at = ENDP(install_auto), .def = "auto", .word = install_word,
	  .help = "May the daemon create its schema crmsync, tables and triggers there? With manual, run crmsyncctl install. Without it poll works, but a second daemon or a database that was put back is not noticed." },
	{ .path = "endpoints.*.connections", .type = SET_INTEGER, .at = ENDP(connections), .def = "4", .min = 1, .max = 32,
	  .help = "Most connections to this database. While there are several, one is kept free to tell whether it still answers." },
	{ .path = "endpoints.*.statement_timeout", .type = SET_DURATION, .at = ENDP(statement_timeout_us), .def = "5m", .min = MS(100), .max = DAYS(1),
	  .help = "A statement that takes longer is cancelled and tried again later." },
	{ .path = "endpoints.*.lock_timeout", .type = SET_DURATION, .at = ENDP(lock_timeout_us), .def = "5s", .min = MS(10), .max = DAYS(1),
	  .help = "A write that waits longer than this for a lock gives way and is tried again later." },
	{ .path = "endpoints.*.zone", .type = SET_TEXT, .at = ENDP(zone), .def = "UTC", .max = 63,
	  .help = "The time zone of timestamps without time zone there, by the server's own name for it, such as Europe/Berlin. Of an hour that exists twice the first is meant; a time that the zone skips parks its record." },
	{ .path = "endpoints.*.ingest", .type = SET_LATER, .help = "Where applications post changes to the daemon." },

	{ .path = "entities", .type = SET_NAMED, .required = true, .read = read_entities, .print = print_entities,
	  .help = "The kinds of records to keep in step, each under a name of your choice." },
	{ .path = "entities.*", .type = SET_MAP, .help = "One kind of record." },
	{ .path = "entities.*.fields", .type = SET_NAMED, .required = true, .read = read_fields, .print = print_fields,
	  .help = "The fields of a record, each under a name of your choice; at most 64." },
	{ .path = "entities.*.fields.*", .type = SET_MAP, .help = "One field." },
	{ .path = "entities.*.fields.*.type", .type = SET_CHOICE, .at = FIELD(type), .required = true, .word = field_type_word,
	  .help = "What the values are; equal meaning in different spelling is equal." },
	{ .path = "entities.*.fields.*.entity", .type = SET_OWN, .wants = "entity name", .read = read_refers, .print = print_refers,
	  .schema = SCHEMA_NAME,
	  .help = "With type reference: the entity that it points to. Each endpoint keeps its own foreign key." },
	{ .path = "entities.*.fields.*.clean", .type = SET_OWN, .wants = "list of cleaning steps", .read = read_clean, .print = print_clean,
	  .schema = "{\"type\": \"array\", \"items\": {\"oneOf\": [{\"enum\": [\"trim\", \"squeeze\", \"lower\", \"upper\", \"empty-to-null\"]}, "
		    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {\"map\": {\"type\": \"object\", \"additionalProperties\": "
		    SCHEMA_TEXT_OR_NULL "}}, \"required\": [\"map\"]}, "
		    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {\"default\": " SCHEMA_TEXT "}, \"required\": [\"default\"]}]}}",
	  .help = "What is done to a value before it is compared, step by step: trim, squeeze, lower, upper (text only), empty-to-null, {map: {from: to}}, {default: value}." },
	{ .path = "entities.*.fields.*.check", .type = SET_OWN, .wants = "list of checks", .read = read_checks, .print = print_checks,
	  .schema = "{\"type\": \"array\", \"items\": {\"oneOf\": [{\"const\": \"required\"}, "
		    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {\"length\": {\"type\": \"array\", \"minItems\": 2, \"maxItems\": 2, "
		    "\"items\": {\"type\": [\"integer\", \"null\"]}}}, \"required\": [\"length\"]}, "
		    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {\"range\": {\"type\": \"array\", \"minItems\": 2, \"maxItems\": 2, "
		    "\"items\": {\"type\": [\"string\", \"number\", \"null\"]}}}, \"required\": [\"range\"]}, "
		    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {\"one-of\": {\"type\": \"array\", \"minItems\": 1, \"items\": "
		    SCHEMA_TEXT "}}, \"required\": [\"one-of\"]}]}}",
	  .help = "What a cleaned value must be: required, {length: [min, max]}, {range: [low, high]}, {one-of: [...]}; null leaves a bound open." },
	{ .path = "entities.*.fields.*.on_invalid", .type = SET_CHOICE, .at = FIELD(on_invalid), .def = "park", .word = invalid_word,
	  .help = "What becomes of a value that fails a check: park sets the record aside, null puts nothing in its place, flag counts it and lets it pass." },
	{ .path = "entities.*.fields.*.private", .type = SET_BOOLEAN, .at = FIELD(private_value), .def = "false", .word = boolean_word,
	  .help = "The journal keeps only digests of the values." },
	{ .path = "entities.*.key", .type = SET_OWN, .required = true, .wants = "list of fields", .read = read_key, .print = print_key,
	  .schema = "{\"type\": \"array\", \"minItems\": 1, \"maxItems\": 8, \"uniqueItems\": true, \"items\": " SCHEMA_NAME "}",
	  .help = "The fields that identify a record across endpoints; one to eight." },
	{ .path = "entities.*.conflict", .type = SET_MAP, .help = "What to do when two endpoints changed the same field." },
	{ .path = "entities.*.conflict.rule", .type = SET_CHOICE, .at = ENT(def.rule), .def = "last-writer-wins", .word = rule_word, .built = rule_built,
	  .help = "Whose value stands when two endpoints changed the same field: crmsyncd-conflicts(7)." },
	{ .path = "entities.*.conflict.priority", .type = SET_OWN, .wants = "list of endpoints", .read = read_priority, .print = print_priority,
	  .schema = "{\"type\": \"array\", \"uniqueItems\": true, \"items\": " SCHEMA_NAME "}",
	  .help = "Endpoints, highest first; decides source-priority and breaks every tie. Those left out follow in the order of the file." },
	{ .path = "entities.*.conflict.deletes", .type = SET_CHOICE, .at = ENT(def.deletes), .def = "update-wins", .word = deletes_word,
	  .help = "What stands when one endpoint deleted a record that another one changed." },
	{ .path = "entities.*.conflict.fields", .type = SET_NAMED, .read = read_field_rules, .print = print_field_rules,
	  .help = "Rules of single fields that differ from the entity's." },
	{ .path = "entities.*.conflict.fields.*", .type = SET_CHOICE, .at = FIELD(rule), .word = rule_word, .built = rule_built,
	  .help = "The rule of this field; a rule for one field of a group holds for the whole group." },
	{ .path = "entities.*.conflict.groups", .type = SET_OWN, .wants = "list of lists of fields", .read = read_groups, .print = print_groups,
	  .schema = "{\"type\": \"array\", \"items\": {\"type\": \"array\", \"minItems\": 2, \"uniqueItems\": true, \"items\": " SCHEMA_NAME "}}",
	  .help = "Fields that win or lose together, such as street, zip and city." },
	{ .path = "entities.*.limits", .type = SET_MAP, .help = "Bounds for this entity." },
	{ .path = "entities.*.limits.mass_delete", .type = SET_SHARE, .at = ENT(def.mass_delete), .def = "2%",
	  .help = "So much of the records, or 20, may be deleted at one endpoint within a minute or by a sweep; the rest is held. 100%: all." },
	{ .path = "entities.*.mappings", .type = SET_NAMED, .required = true, .read = read_mappings, .print = print_mappings,
	  .help = "Where the entity lives: one entry for each endpoint, under its name." },
	{ .path = "entities.*.mappings.*", .type = SET_MAP, .help = "The entity's table at that endpoint." },
	{ .path = "entities.*.mappings.*.table", .type = SET_TEXT, .at = MAPP(table), .required = true, .max = 255,
	  .help = "The table: name or schema.name." },
	{ .path = "entities.*.mappings.*.role", .type = SET_CHOICE, .at = MAPP(role), .def = "both", .word = role_word,
	  .help = "source is only read, target is only written (and still compared by sweeps)." },
	{ .path = "entities.*.mappings.*.id", .type = SET_TEXT, .at = MAPP(id), .max = 63,
	  .help = "The local primary key column, never carried elsewhere; default: the table's primary key." },
	{ .path = "entities.*.mappings.*.modified", .type = SET_TEXT, .at = MAPP(modified), .max = 63,
	  .help = "The column that tells when a row was last changed; needed with capture poll." },
	{ .path = "entities.*.mappings.*.zone", .type = SET_TEXT, .at = MAPP(zone), .max = 63,
	  .help = "The time zone of this table's timestamps without time zone; default: the endpoint's." },
	{ .path = "entities.*.mappings.*.columns", .type = SET_NAMED, .read = read_columns, .print = print_columns,
	  .help = "Columns of fields whose column has another name." },
	{ .path = "entities.*.mappings.*.columns.*", .type = SET_TEXT, .max = 63, .help = "The column of this field; default: the field's own name." },
	{ .path = "entities.*.mappings.*.delete", .type = SET_OWN, .def = "hard", .wants = "hard, ignore or {soft: {column: ..., set: ...}}",
	  .read = read_delete, .print = print_delete,
	  .schema = "{\"oneOf\": [{\"enum\": [\"hard\", \"ignore\"]}, {\"type\": \"object\", \"additionalProperties\": false, \"required\": [\"soft\"], "
		    "\"properties\": {\"soft\": {\"type\": \"object\", \"additionalProperties\": false, \"required\": [\"column\"], \"properties\": "
		    "{\"column\": " SCHEMA_TEXT ", \"set\": " SCHEMA_TEXT "}}}}]}",
	  .help = "How a delete from elsewhere is carried out: hard removes the row, ignore leaves it, {soft: ...} marks it." },
	{ .path = "entities.*.mappings.*.delete.soft.column", .type = SET_TEXT, .at = MAPP(delete_column), .required = true, .max = 63,
	  .help = "Soft delete: the column that marks a deleted row." },
	{ .path = "entities.*.mappings.*.delete.soft.set", .type = SET_TEXT, .at = MAPP(delete_set), .def = "now", .max = 255,
	  .help = "Soft delete: what it is set to: now (the time; true in a boolean column), or a value. With now a row counts as deleted when the column is not NULL (is true), with a value when it has that value." },
	{ .path = "entities.*.mappings.*.where", .type = SET_NAMED, .read = read_where, .print = print_where,
	  .help = "Only rows whose columns hold these values belong to the entity." },
	{ .path = "entities.*.mappings.*.where.*", .type = SET_OWN, .wants = "text, number, boolean or null", .read = NULL,
	  .schema = SCHEMA_TEXT_OR_NULL,
	  .help = "The value that this column must have; null: it must be NULL." },
	{ .path = "entities.*.verify", .type = SET_OWN, .def = "0s", .wants = "a duration such as 24h or every 24h, at least 1m, or 0s for never", .read = read_verify,
	  .print = print_verify, .schema = SCHEMA_TEXT,
	  .help = "How often the rows of all endpoints are compared, as crmsyncctl verify does; at least every minute, 0s: only when asked. What differs is told in the log and in the metrics." },
};
const size_t n_settings = countof(settings);

/* ---- finding rows ------------------------------------------------------------------------------------ */

const struct setting *setting_at(const char *path)
{
	for (size_t i = 0; i < n_settings; i++)
		if (strcmp(settings[i].path, path) == 0)
			return &settings[i];
	assert(!"a row of the settings table");
	return NULL;
}

const char *setting_key(const struct setting *s)
{
	const char *dot = strrchr(s->path, '.');

	return dot != NULL ? dot + 1 : s->path;
}

static bool is_below(const char *path, const char *parent)
{
	size_t n = strlen(parent);

	if (n == 0)
		return strchr(path, '.') == NULL;
	return strncmp(path, parent, n) == 0 && path[n] == '.' && strchr(path + n + 1, '.') == NULL;
}

const struct setting *setting_next(const char *parent, const struct setting *s)
{
	for (s = s == NULL ? settings : s + 1; s < settings + n_settings; s++)
		if (is_below(s->path, parent) && strcmp(setting_key(s), "*") != 0)
			return s;
	return NULL;
}

/* ---- telling about them ------------------------------------------------------------------------------ */

static void words_text(struct buf *out, const struct setting *s, const char *between)
{
	const char *sep = "";

	for (size_t i = 0; s->word(i) != NULL; i++) {
		if (s->built != NULL && !s->built(i))
			continue;
		buf_addf(out, "%s%s", sep, s->word(i));
		sep = between;
	}
}

void setting_type_text(struct buf *out, const struct setting *s)
{
	switch (s->type) {
	case SET_MAP:		buf_adds(out, "map"); break;
	case SET_NAMED:		buf_adds(out, "map of names"); break;
	case SET_TEXT:		buf_adds(out, "text"); break;
	case SET_NAME:		buf_adds(out, "name"); break;
	case SET_PATH:
	case SET_SOCKET:	buf_adds(out, "path"); break;
	case SET_SECRET:	buf_adds(out, "file name"); break;
	case SET_INTEGER:	buf_adds(out, "integer"); break;
	case SET_DURATION:	buf_adds(out, "duration"); break;
	case SET_SIZE:		buf_adds(out, "size"); break;
	case SET_SHARE:		buf_adds(out, "percentage"); break;
	case SET_BOOLEAN:
	case SET_CHOICE:	words_text(out, s, " | "); break;
	case SET_OWN:		buf_adds(out, s->wants); break;
	case SET_LATER:
	case SETTING_TYPES:	break;
	}
}

void topology_each_setting(void (*fn)(const char *path, const char *type, const char *def, const char *help, void *arg), void *arg)
{
	struct buf type = { 0 };

	for (size_t i = 0; i < n_settings; i++) {
		const struct setting *s = &settings[i];

		if (s->type == SET_MAP || s->type == SET_NAMED || s->type == SET_LATER)
			continue;
		buf_clear(&type);
		setting_type_text(&type, s);
		fn(s->path, type.p, s->def, s->help, arg);
	}
	buf_fini(&type);
}

/* ---- JSON Schema ------------------------------------------------------------------------------------- */

static void schema_of(struct buf *out, const struct setting *s, unsigned indent);

static void json_key(struct buf *out, unsigned indent, const char *key)
{
	buf_addf(out, "%*s", (int)(2 * indent), "");
	text_json(out, key, strlen(key));
	buf_adds(out, ": ");
}

/* The properties of a map and whatever closes it. */
static void schema_section(struct buf *out, const char *parent, unsigned indent)
{
	const struct setting *s;
	const char *sep = "";

	json_key(out, indent, "type");
	buf_adds(out, "\"object\",\n");
	json_key(out, indent, "additionalProperties");
	buf_adds(out, "false,\n");
	json_key(out, indent, "required");
	buf_addc(out, '[');
	for (s = setting_next(parent, NULL); s != NULL; s = setting_next(parent, s))
		if (s->required) {
			buf_addf(out, "%s\"%s\"", sep, setting_key(s));
			sep = ", ";
		}
	buf_adds(out, "],\n");
	json_key(out, indent, "properties");
	buf_adds(out, "{\n");
	sep = "";
	for (s = setting_next(parent, NULL); s != NULL; s = setting_next(parent, s)) {
		if (s->type == SET_LATER)
			continue;
		buf_adds(out, sep);
		json_key(out, indent + 1, setting_key(s));
		schema_of(out, s, indent + 1);
		sep = ",\n";
	}
	buf_addf(out, "\n%*s}\n", (int)(2 * indent), "");
}

static void schema_named(struct buf *out, const struct setting *s, unsigned indent)
{
	char below[128];

	snprintf(below, sizeof below, "%s.*", s->path);
	json_key(out, indent, "type");
	buf_adds(out, "\"object\",\n");
	if (setting_at(below)->type == SET_MAP) {	/* names of ours; the others are columns */
		json_key(out, indent, "propertyNames");
		buf_adds(out, "{\"pattern\": \"" NAME_PATTERN "\"},\n");
	}
	json_key(out, indent, "additionalProperties");
	schema_of(out, setting_at(below), indent);
	buf_addc(out, '\n');
}

static void schema_words(struct buf *out, const struct setting *s)
{
	const char *sep = "";

	if (s->word == boolean_word) {
		buf_adds(out, "\"type\": \"boolean\"");
		return;
	}
	buf_adds(out, "\"enum\": [");
	for (size_t i = 0; s->word(i) != NULL; i++) {
		if (s->built != NULL && !s->built(i))
			continue;
		buf_addf(out, "%s\"%s\"", sep, s->word(i));
		if (strcmp(s->word(i), "null") == 0)
			buf_adds(out, ", null");	/* what other YAML readers make of the word */
		sep = ", ";
	}
	buf_addc(out, ']');
}

static void schema_scalar(struct buf *out, const struct setting *s)
{
	switch (s->type) {
	case SET_TEXT:
		buf_addf(out, "\"type\": [\"string\", \"number\", \"boolean\"], \"minLength\": 1, \"maxLength\": %lld", (long long)s->max);
		return;
	case SET_NAME:
		buf_adds(out, "\"type\": \"string\", \"pattern\": \"" NAME_PATTERN "\"");
		return;
	case SET_PATH:
	case SET_SOCKET:
		buf_adds(out, "\"type\": \"string\", \"pattern\": \"^/\"");
		return;
	case SET_SECRET:
		buf_adds(out, "\"type\": \"string\", \"minLength\": 1");
		return;
	case SET_INTEGER:
		buf_addf(out, "\"type\": \"integer\", \"minimum\": %lld, \"maximum\": %lld", (long long)s->min, (long long)s->max);
		return;
	case SET_DURATION:
		buf_adds(out, "\"type\": \"string\", \"pattern\": \"^[0-9]+(us|ms|s|m|h|d)$\"");
		return;
	case SET_SIZE:
		buf_adds(out, "\"type\": [\"string\", \"integer\"], \"pattern\": \"^[0-9]+(KiB|MiB|GiB)?$\"");
		return;
	case SET_SHARE:
		buf_adds(out, "\"type\": \"string\", \"pattern\": \"^[0-9]+([.][0-9]{1,4})?%$\"");
		return;
	case SET_BOOLEAN:
	case SET_CHOICE:
		schema_words(out, s);
		return;
	case SET_MAP: case SET_NAMED: case SET_OWN: case SET_LATER: case SETTING_TYPES:
		return;
	}
}

static void schema_default(struct buf *out, const struct setting *s)
{
	if (s->def == NULL)
		return;
	buf_adds(out, ", \"default\": ");
	if (s->type == SET_INTEGER || (s->type == SET_BOOLEAN && s->word == boolean_word))
		buf_adds(out, s->def);
	else
		text_json(out, s->def, strlen(s->def));
}

static void schema_of(struct buf *out, const struct setting *s, unsigned indent)
{
	if (s->type == SET_OWN) {
		/* allOf: the row's own schema as it is, with what every row has */
		buf_adds(out, "{\"description\": ");
		text_json(out, s->help, strlen(s->help));
		schema_default(out, s);
		buf_addf(out, ", \"allOf\": [%s]}", s->schema);
		return;
	}
	if (s->type != SET_MAP && s->type != SET_NAMED) {
		buf_adds(out, "{\"description\": ");
		text_json(out, s->help, strlen(s->help));
		buf_adds(out, ", ");
		schema_scalar(out, s);
		schema_default(out, s);
		buf_addc(out, '}');
		return;
	}
	buf_adds(out, "{\n");
	json_key(out, indent + 1, "description");
	text_json(out, s->help, strlen(s->help));
	buf_adds(out, ",\n");
	if (s->type == SET_MAP)
		schema_section(out, s->path, indent + 1);
	else
		schema_named(out, s, indent + 1);
	buf_addf(out, "%*s}", (int)(2 * indent), "");
}

void topology_print_schema(struct buf *out)
{
	buf_adds(out, "{\n  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
		      "  \"title\": \"Topology of crmsyncd\",\n");
	schema_section(out, "", 1);
	buf_adds(out, "}\n");
}
