/*
 * redis_open.c - what is said after connecting, until the store is ready.
 *
 *   AUTH -> SELECT -> INFO -> KILL -> LEASE -> RESTORE -> META -> ready        any failure -> the link ends and tries again
 *                                      ^  |
 *                                      +--+ stands by, while another process holds the lease
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/mem.h"
#include "loop/loop.h"
#include "store/redis_store.h"
#include "store/resp.h"

enum {
	FORMAT = 1,
	NUMBER_MOST = 254,		/* endpoint and field numbers are one byte in a vector */
	VERSION_LEAST = 5,
	KEY_CHARS = 2 * DIGEST_KEY_BYTES,
	STANDBY_MS = 250,
};

enum open_state { OPEN_AUTH, OPEN_SELECT, OPEN_INFO, OPEN_KILL, OPEN_LEASE, OPEN_RESTORE, OPEN_META, OPEN_STATES };

struct opening {
	struct redis_ask ask;		/* first member */
	struct redis_store *s;
	enum open_state state;
	struct loop_timer *again;	/* standing by */
	bool standby, leased;
	/* the server we are connected to, and our client id there */
	char run_id[48];
	int64_t client_id;
	int64_t stale_id;		/* our former connection to the same server; 0: none */
	/* as read from meta */
	char born[BORN_CHARS + 1];
	struct digest_key key;
	bool key_found;
	int format;
	bool restoring;			/* its format is that of a state that is being filled from a backup */
	char stale[GENERATION_CHARS + 1];
};

struct open_step {
	size_t (*ask)(struct opening *, struct buf *out);	/* answers how many commands; 0: nothing to do here */
	bool (*got)(struct opening *, size_t i, const struct reply *, struct err *);
	bool takes_errors;
};

/* ---- AUTH, SELECT ------------------------------------------------------------------------------------ */

static size_t ask_auth(struct opening *o, struct buf *out)
{
	const char *user = o->s->topology->state.user, *password = o->s->topology->state.password;

	if (password == NULL)
		return 0;
	resp_command(out, user != NULL ? 3 : 2);
	resp_word(out, "AUTH");
	if (user != NULL)
		resp_word(out, user);
	resp_word(out, password);
	return 1;
}

static bool got_auth(struct opening *o, size_t i, const struct reply *r, struct err *e)
{
	if (r->type != REPLY_ERROR)
		return true;
	redis_reply_err(r, e);
	if (e->kind != ERR_CONFIG)	/* older servers say ERR, and a server without any password too */
		err_set(e, ERR_CONFIG, "AUTH", "Redis refuses the user or the password: correct state.redis or state.password_file");
	return false;
}

static size_t ask_select(struct opening *o, struct buf *out)
{
	if (o->s->topology->state.database == 0)
		return 0;
	resp_command(out, 2);
	resp_word(out, "SELECT");
	resp_number(out, o->s->topology->state.database);
	return 1;
}

static bool got_select(struct opening *o, size_t i, const struct reply *r, struct err *e)
{
	if (r->type != REPLY_ERROR)
		return true;
	redis_reply_err(r, e);
	if (e->kind != ERR_CONFIG)
		err_set(e, ERR_CONFIG, "SELECT", "Redis has no database %lld: correct state.redis",
			(long long)o->s->topology->state.database);
	return false;
}

/* ---- INFO: is this server fit? ----------------------------------------------------------------------- */

static bool info_get(const struct reply *info, const char *name, char *out, size_t size)
{
	size_t len = strlen(name);
	const char *p = info->str, *end = p + info->len;

	while (p < end) {
		const char *eol = memchr(p, '\n', (size_t)(end - p));
		size_t line = (size_t)((eol != NULL ? eol : end) - p);

		if (line > len && p[len] == ':' && memcmp(p, name, len) == 0) {
			size_t n = line - len - 1;

			if (n > 0 && p[line - 1] == '\r')
				n--;
			snprintf(out, size, "%.*s", (int)n, p + len + 1);
			return true;
		}
		p += line + 1;
	}
	out[0] = '\0';
	return false;
}

static bool check_eviction(const struct reply *info, struct err *e)
{
	char policy[32];

	if (!info_get(info, "maxmemory_policy", policy, sizeof policy))
		return err_set(e, ERR_CONFIG, "eviction", "Redis does not tell its maxmemory-policy, so it may evict keys: use Redis %d or later",
			       VERSION_LEAST);
	if (strcmp(policy, "noeviction") != 0 && !fault("f22-keys-may-be-evicted"))
		return err_set(e, ERR_CONFIG, "eviction", "Redis may evict keys (maxmemory-policy %s), and what was synchronised would be "
			       "forgotten: set `maxmemory-policy noeviction` in its configuration", policy);
	return true;
}

static bool check_server(struct redis_store *s, const struct reply *info, struct err *e)
{
	char text[64], name[32];

	info_get(info, "redis_version", text, sizeof text);
	if (!info_get(info, "server_name", name, sizeof name) || strcmp(name, "valkey") != 0)
		snprintf(s->store.server, sizeof s->store.server, "Redis %.40s", text);
	else if (info_get(info, "valkey_version", name, sizeof name))
		snprintf(s->store.server, sizeof s->store.server, "Valkey %s", name);
	if (atoi(text) < VERSION_LEAST)
		return err_set(e, ERR_CONFIG, "version", "Redis %.40s is too old: version %d or later is needed", text, VERSION_LEAST);
	info_get(info, "loading", text, sizeof text);
	if (strcmp(text, "1") == 0)
		return err_set(e, ERR_TRANSIENT, "LOADING", "Redis is still loading its data");
	info_get(info, "role", text, sizeof text);
	if (strcmp(text, "master") != 0)
		return err_set(e, ERR_TRANSIENT, "READONLY", "Redis is a replica: it cannot be written to");
	info_get(info, "cluster_enabled", text, sizeof text);
	if (strcmp(text, "1") == 0)
		return err_set(e, ERR_CONFIG, "cluster", "Redis runs as a cluster, whose keys cannot be changed together: use a single server");
	return check_eviction(info, e);
}

static size_t ask_info(struct opening *o, struct buf *out)
{
	resp_command(out, 1);
	resp_word(out, "INFO");
	resp_command(out, 2);
	resp_word(out, "CLIENT");
	resp_word(out, "ID");
	return 2;
}

static bool got_info(struct opening *o, size_t i, const struct reply *r, struct err *e)
{
	char run_id[sizeof o->run_id];

	if (i == 1) {
		o->client_id = r->type == REPLY_INTEGER ? r->integer : 0;
		return true;
	}
	if (r->type == REPLY_ERROR)
		return redis_reply_err(r, e);
	if (r->type != REPLY_STRING)
		return err_set(e, ERR_TRANSIENT, "reply", "Redis answered INFO in a form that is not known");
	info_get(r, "run_id", run_id, sizeof run_id);
	o->stale_id = run_id[0] != '\0' && strcmp(run_id, o->run_id) == 0 ? o->client_id : 0;
	memcpy(o->run_id, run_id, sizeof run_id);
	return check_server(o->s, r, e);
}

/*
 * A connection that we gave up may still hold writes which the server has not come to: they must not be done
 * after ours. Only for the server process that gave the id (another would hit a stranger), and only where we may.
 */
static size_t ask_kill(struct opening *o, struct buf *out)
{
	if (o->stale_id == 0)
		return 0;
	resp_command(out, 4);
	resp_word(out, "CLIENT");
	resp_word(out, "KILL");
	resp_word(out, "ID");
	resp_number(out, o->stale_id);
	return 1;
}

/* ---- LEASE: are we the one who writes? ---------------------------------------------------------------- */

enum { TAKES_AT = 2 };		/* which command takes it */

static size_t ask_lease(struct opening *o, struct buf *out)
{
	o->standby = o->leased = false;
	/* While standing by, the number was watched from the last time on: our own taking of it would make our first transaction void. */
	resp_command(out, 1);
	resp_word(out, "MULTI");
	resp_command(out, 1);
	resp_word(out, "EXEC");
	lease_append_take(o->s, out);
	return TAKES_AT + 1 + guard_append_watch(o->s, out);
}

static bool got_lease(struct opening *o, size_t i, const struct reply *r, struct err *e)
{
	if (i == TAKES_AT) {
		o->leased = lease_take(o->s, r);
		o->standby = !o->leased;
	}
	/* From here on everything that this connection writes is void once the number changes. */
	return i < TAKES_AT + GUARD_WATCH || !o->leased || guard_is_ours(o->s, r) || guard_refuse(e);
}

static void stand_by(struct opening *o)
{
	struct redis_store *s = o->s;
	struct err why = { 0 };

	err_set(&why, ERR_TRANSIENT, STORE_STANDBY, "stands by: another crmsyncd holds the lease");
	loop_timer_set(o->again, STANDBY_MS);
	redis_tell_down(s, &why);
}

/* ---- RESTORE: of a store that was made for it --------------------------------------------------------- */

static size_t ask_restore(struct opening *o, struct buf *out)
{
	return restore_append(o->s, out);
}

static bool got_restore(struct opening *o, size_t i, const struct reply *r, struct err *e)
{
	return restore_begun(o->s, r, e);
}

/* ---- META: born, key, numbers of names, sizes -------------------------------------------------------- */

static const char names_script[] =
	"local numbers = {}\n"
	"for i = 1, #ARGV, 2 do\n"
	"	local name = ARGV[i] .. '/' .. ARGV[i + 1]\n"
	"	local n = redis.call('HGET', KEYS[1], name)\n"
	"	if not n then\n"
	"		n = redis.call('HINCRBY', KEYS[1], 'next/' .. ARGV[i], 1) - 1\n"
	"		redis.call('HSET', KEYS[1], name, n)\n"
	"	end\n"
	"	numbers[#numbers + 1] = tonumber(n)\n"
	"end\n"
	"return numbers\n";

static size_t count_names(const struct topology *t)
{
	size_t n = t->n_endpoints + t->n_entities;

	for (size_t i = 0; i < t->n_entities; i++)
		n += t->entities[i].def.n_fields;
	return n;
}

/* Fields in the order in which they were numbered last: should all of that be lost, rows have the same digests as before (sync/own.c). */
static void append_names(struct opening *o, struct buf *out)
{
	const struct topology *t = o->s->topology;

	resp_command(out, 4 + 2 * count_names(t));
	resp_word(out, "EVAL");
	resp_bytes(out, names_script, sizeof names_script - 1);
	resp_number(out, 1);
	resp_word(out, o->s->names);
	for (size_t i = 0; i < t->n_endpoints; i++) {
		resp_word(out, "endpoint");
		resp_word(out, t->endpoints[i].name);
	}
	for (size_t i = 0; i < t->n_entities; i++) {
		const struct entity_def *def = &t->entities[i].def;

		resp_word(out, "entity");
		resp_word(out, def->name);
		for (size_t f = 0; f < def->n_fields; f++) {
			resp_joined(out, "field/", 6, def->name, strlen(def->name));
			resp_word(out, def->fields[o->s->store.layouts[i].row_order[f]].name);
		}
	}
}

/* Sets a field of meta where it is missing: of two daemons that find an empty server, one makes it. */
static void append_once(struct opening *o, struct buf *out, const char *field, const void *value, size_t len)
{
	resp_command(out, 4);
	resp_word(out, "HSETNX");
	resp_word(out, o->s->meta);
	resp_word(out, field);
	resp_bytes(out, value, len);
}

static void hex_of(const unsigned char *bytes, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++) {
		out[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
		out[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
	}
}

void born_random(char out[BORN_CHARS])
{
	struct digest_key fresh;

	digest_key_random(&fresh);
	hex_of(fresh.secret, BORN_CHARS / 2, out);
}

void key_to_hex(const struct digest_key *key, char out[2 * DIGEST_KEY_BYTES])
{
	hex_of(key->secret, DIGEST_KEY_BYTES, out);
}

static size_t ask_meta(struct opening *o, struct buf *out)
{
	char born[BORN_CHARS], key[KEY_CHARS];
	struct digest_key fresh;

	born_random(born);
	if (o->s->key_known) {
		/* The digests that the databases' rows were compared by stay right when only the state was emptied. */
		fresh = o->s->store.key;
	} else {
		digest_key_random(&fresh);
	}
	key_to_hex(&fresh, key);
	append_once(o, out, "format", "1", 1);
	append_once(o, out, "key", key, sizeof key);
	append_once(o, out, "born", born, sizeof born);
	append_names(o, out);
	/* Last, so that it also tells that nothing was emptied before. */
	resp_command(out, 2);
	resp_word(out, "HGETALL");
	resp_word(out, o->s->meta);
	return 5;
}

void redis_entities_free(struct redis_store *s)
{
	for (size_t i = 0; s->entities != NULL && i < s->topology->n_entities; i++) {
		struct redis_entity *ent = &s->entities[i];

		for (size_t p = 0; ent->maps != NULL && p < s->topology->n_endpoints; p++) {
			free(ent->maps[p].pages);
			free(ent->maps[p].dense);
			free(ent->maps[p].texts);
		}
		free(ent->maps);
		free(ent->vectors);
		fresh_free(&ent->fresh);
	}
	free(s->entities);
	s->entities = NULL;
	free(s->prefix);
	free(s->positions);
	free(s->intents);
	s->prefix = s->positions = s->intents = NULL;
}

static bool take_number(const struct reply *numbers, size_t *at, int64_t most, uint32_t *out, struct err *e)
{
	const struct reply *r = &numbers->element[(*at)++];

	if (r->type != REPLY_INTEGER || r->integer < 0)
		return err_set(e, ERR_TRANSIENT, "names", "the names in Redis are damaged");
	if (r->integer > most)
		return err_set(e, ERR_CONFIG, "names", "more than %lld endpoints, or fields of an entity, have been given numbers over time; "
			       "remove this topology's keys from Redis, and it is rebuilt from the databases", (long long)most + 1);
	*out = (uint32_t)r->integer;
	return true;
}

static bool take_names(struct opening *o, const struct reply *r, struct err *e)
{
	struct redis_store *s = o->s;
	const struct topology *t = s->topology;
	uint8_t endpoint_numbers[ENDPOINTS_MAX];
	uint32_t number;
	size_t at = 0;

	if (r->type != REPLY_ARRAY || r->n != count_names(t))
		return err_set(e, ERR_TRANSIENT, "reply", "Redis answered EVAL in a form that is not known");
	redis_entities_free(s);
	s->entities = xcalloc(t->n_entities, sizeof *s->entities);
	for (size_t i = 0; i < t->n_endpoints; i++) {
		if (!take_number(r, &at, NUMBER_MOST, &number, e))
			return false;
		endpoint_numbers[i] = (uint8_t)number;
	}
	for (size_t i = 0; i < t->n_entities; i++) {
		struct vector_layout *layout = &s->store.layouts[i], asked = *layout;

		*layout = (struct vector_layout){ .n_fields = t->entities[i].def.n_fields, .n_endpoints = t->n_endpoints };
		memcpy(layout->row_order, asked.row_order, sizeof asked.row_order);
		memcpy(layout->endpoint_number, endpoint_numbers, t->n_endpoints);
		if (!take_number(r, &at, UINT32_MAX, &s->entities[i].number, e))
			return false;
		for (size_t f = 0; f < layout->n_fields; f++) {
			if (!take_number(r, &at, NUMBER_MOST, &number, e))
				return false;
			layout->field_number[asked.row_order[f]] = (uint8_t)number;
			if (number >= layout->fields_stored)
				layout->fields_stored = (uint8_t)(number + 1);
		}
		vector_layout_order(layout);
		s->entities[i].buckets = 1;
		s->entities[i].pieces_most = 1;
		s->store.records[i] = 0;
	}
	return true;
}

static bool hex_read(const char *hex, size_t bytes, unsigned char *out)
{
	for (size_t i = 0; i < bytes; i++) {
		int v = 0;

		for (size_t k = 0; k < 2; k++) {
			const char *digit = hex[2 * i + k] != '\0' ? strchr("0123456789abcdef", hex[2 * i + k]) : NULL;

			if (digit == NULL)
				return false;
			v = v << 4 | (int)(digit - "0123456789abcdef");
		}
		out[i] = (unsigned char)v;
	}
	return true;
}

/* WHAT of "e<N>:WHAT", for an entity that we know. */
static void take_entity_field(struct redis_store *s, size_t entity, const char *what, int64_t value)
{
	struct redis_entity *ent = &s->entities[entity];

	if (strcmp(what, "buckets") == 0 && value > 0 && value <= UINT32_MAX) {
		ent->buckets = (uint64_t)value;
	} else if (strcmp(what, "records") == 0) {
		s->store.records[entity] = ent->expected = value;
	} else if (strcmp(what, "pieces") == 0 && value > 0 && value <= PIECES_MOST) {
		ent->pieces_most = (unsigned)value;
	} else if (strncmp(what, "texts:", 6) == 0 || strncmp(what, "dense:", 6) == 0) {
		unsigned long number = strtoul(what + 6, NULL, 10);

		if (number < countof(ent->texts))
			(what[0] == 't' ? ent->texts : ent->dense)[number] = true;
	}
}

static void take_meta_field(struct opening *o, const char *field, const struct reply *value)
{
	char text[24], *what;
	unsigned long number;

	if (strcmp(field, "born") == 0 && value->len == BORN_CHARS) {
		memcpy(o->born, value->str, BORN_CHARS);
		return;
	}
	if (strcmp(field, "stale") == 0 && value->len == GENERATION_CHARS) {
		memcpy(o->stale, value->str, GENERATION_CHARS);
		return;
	}
	if (strcmp(field, "key") == 0) {
		o->key_found = value->len == KEY_CHARS && hex_read(value->str, DIGEST_KEY_BYTES, o->key.secret);
		return;
	}
	snprintf(text, sizeof text, "%.*s", (int)(value->len < 23 ? value->len : 23), value->str);
	if (strcmp(field, "format") == 0) {
		o->restoring = strcmp(text, FORMAT_RESTORING) == 0;
		o->format = o->restoring ? FORMAT : atoi(text);
	}
	if (field[0] != 'e')
		return;
	number = strtoul(field + 1, &what, 10);
	for (size_t i = 0; *what == ':' && i < o->s->topology->n_entities; i++)
		if (o->s->entities[i].number == number)
			take_entity_field(o->s, i, what + 1, strtoll(text, NULL, 10));
}

static bool take_meta(struct opening *o, const struct reply *r, struct err *e)
{
	char field[48];

	memset(o->born, 0, sizeof o->born);
	memset(o->stale, 0, sizeof o->stale);
	o->key_found = o->restoring = false;
	o->format = 0;
	for (size_t i = 0; r->type == REPLY_ARRAY && i + 1 < r->n; i += 2) {
		if (r->element[i].type != REPLY_STRING || r->element[i + 1].type != REPLY_STRING || r->element[i].len >= sizeof field)
			continue;
		memcpy(field, r->element[i].str, r->element[i].len);
		field[r->element[i].len] = '\0';
		take_meta_field(o, field, &r->element[i + 1]);
	}
	if (o->format > FORMAT)
		return err_set(e, ERR_CONFIG, "format", "the state in Redis has format %d, this version knows %d: it was written by a newer version",
			       o->format, FORMAT);
	if (o->restoring && o->s->restore == NULL)
		return err_set(e, ERR_CONFIG, "restoring", "a backup was being put back into the state in Redis, and that was broken off: nothing is "
			       "done with half of it. Run crmsyncctl restore again");
	if (o->born[0] == '\0' || !o->key_found || o->format != FORMAT)
		return err_set(e, ERR_TRANSIENT, "meta", "the state in Redis was emptied while it was being read, or %s is damaged", o->s->meta);
	return true;
}

static bool got_meta(struct opening *o, size_t i, const struct reply *r, struct err *e)
{
	if (i == 3)
		return take_names(o, r, e);
	return i < 4 || take_meta(o, r, e);
}

/* ---- ready ------------------------------------------------------------------------------------------- */

static void name_keys(struct redis_store *s)
{
	const struct topology *t = s->topology;

	s->prefix = xasprintf("crmsync:%s:%.*s:", t->name, GENERATION_CHARS, s->born);
	s->positions = xasprintf("%spos", s->prefix);
	s->intents = xasprintf("%sintents", s->prefix);
	for (size_t i = 0; i < t->n_entities; i++) {
		struct redis_entity *ent = &s->entities[i];

		ent->vectors = xasprintf("%sv:%u:", s->prefix, ent->number);
		ent->vectors_len = strlen(ent->vectors);
		ent->maps = xcalloc(t->n_endpoints, sizeof *ent->maps);
		for (size_t p = 0; p < t->n_endpoints; p++) {
			struct map_keys *keys = &ent->maps[p];

			keys->endpoint_number = s->store.layouts[i].endpoint_number[p];
			keys->pages = xasprintf("%sm:%u:%u:", s->prefix, ent->number, keys->endpoint_number);
			keys->dense = xasprintf("%sd:%u:%u:", s->prefix, ent->number, keys->endpoint_number);
			keys->texts = xasprintf("%st:%u:%u:", s->prefix, ent->number, keys->endpoint_number);
			keys->len = strlen(keys->pages);
		}
	}
}

static void become_ready(struct opening *o)
{
	struct redis_store *s = o->s;
	bool lost = s->born[0] != '\0' && strcmp(s->born, o->born) != 0;

	memcpy(s->born, o->born, sizeof s->born);
	s->store.key = o->key;
	s->key_known = true;
	name_keys(s);
	lease_keep(s);
	redis_link_settled(s->link);
	if (lost && s->store.events.lost != NULL)
		s->store.events.lost(s->store.events.arg);
	if (s->dying)
		return;
	s->store.ready = true;
	s->told_down = false;
	err_clear(&s->store.why);
	clear_stale(s, o->stale);
	if (s->store.events.up != NULL)
		s->store.events.up(s->store.events.arg);
}

/* ---- the conversation -------------------------------------------------------------------------------- */

static const struct open_step steps[OPEN_STATES] = {
	/*		    send this	 on each reply	an error is a reply too */
	[OPEN_AUTH]	= { ask_auth,	 got_auth,	true },
	[OPEN_SELECT]	= { ask_select,	 got_select,	true },
	[OPEN_INFO]	= { ask_info,	 got_info,	true },
	[OPEN_KILL]	= { ask_kill,	 NULL,		true },
	[OPEN_LEASE]	= { ask_lease,	 got_lease,	false },
	[OPEN_RESTORE]	= { ask_restore, got_restore,	false },
	[OPEN_META]	= { ask_meta,	 got_meta,	false },
};

static bool opening_reply(struct redis_ask *ask, size_t i, const struct reply *r, struct err *e)
{
	struct opening *o = (struct opening *)ask;

	return steps[o->state].got == NULL || steps[o->state].got(o, i, r, e);
}

static void opening_enter(struct opening *o, enum open_state state)
{
	for (o->state = state; o->state < OPEN_STATES; o->state++) {
		size_t n = steps[o->state].ask(o, redis_link_out(o->s->link));

		if (n > 0) {
			o->ask.takes_errors = steps[o->state].takes_errors;
			redis_link_send(o->s->link, &o->ask, n);
			return;
		}
	}
	become_ready(o);
}

static void opening_done(struct redis_ask *ask, const struct err *e)
{
	struct opening *o = (struct opening *)ask;

	if (e != NULL)		/* the link has ended: every step is vital */
		return;
	if (o->state == OPEN_LEASE && o->standby)
		stand_by(o);
	else
		opening_enter(o, o->state + 1);
}

static void on_again(void *arg)
{
	opening_enter(arg, OPEN_LEASE);
}

void opening_stop(struct opening *o)
{
	loop_timer_stop(o->again);
}

void opening_start(struct opening *o)
{
	opening_enter(o, OPEN_AUTH);
}

struct opening *opening_new(struct redis_store *s)
{
	struct opening *o = xcalloc(1, sizeof *o);

	o->s = s;
	o->again = loop_timer_new(s->loop, on_again, o);
	o->ask.reply = opening_reply;
	o->ask.done = opening_done;
	o->ask.vital = true;
	return o;
}

void opening_free(struct opening **op)
{
	loop_timer_free(&(*op)->again);
	free(*op);
	*op = NULL;
}
