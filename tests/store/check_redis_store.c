/* The store against a real, private redis-server. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "loop/loop.h"
#include "redis_server.h"
#include "store/store.h"

enum { PATIENCE_MS = 20000, ENDPOINTS = 2, ENTITIES = 2 };

/* ---- the world of a test -------------------------------------------------------------------------------- */

static struct redis_server server;
static struct loop *loop;
static struct loop_timer *patience;
static struct store *store;
static int ups, downs, losts, answers;
static int lost_before_answers;		/* answers that had come when lost() was called */
static struct err down_err;

static char *n_number = (char *)"number", *n_name = (char *)"name", *n_sales = (char *)"sales", *n_support = (char *)"support";
static char *n_account = (char *)"account", *n_contact = (char *)"contact", *n_topology = (char *)"acme";
static struct field_def fields[2];
static struct endpoint_conf endpoints[ENDPOINTS];
static struct entity_conf entities[ENTITIES];
static struct topology topology;

static void on_impatient(void *arg)
{
	ck_abort_msg("nothing happened for %d ms; up %d, down %d (%s), lost %d", PATIENCE_MS, ups, downs, down_err.text, losts);
}

/* Turns the loop until *count has reached `want`. */
static void wait_for(const int *count, int want)
{
	while (*count < want) {
		loop_timer_set(patience, PATIENCE_MS);
		loop_run(loop);
	}
	loop_timer_stop(patience);
}

static void on_up(void *arg)
{
	ups++;
	loop_stop(loop);
}

static void on_down(void *arg, const struct err *e)
{
	downs++;
	down_err = *e;
	loop_stop(loop);
}

static void on_lost(void *arg)
{
	losts++;
	lost_before_answers = answers;
	loop_stop(loop);
}

static const struct store_events events = { .up = on_up, .down = on_down, .lost = on_lost };

static void open_store(void)
{
	ups = downs = losts = answers = 0;
	store = redis_store_new(loop, &topology, &events);
}

static void open_and_wait(void)
{
	open_store();
	wait_for(&ups, 1);
}

static void make_topology(void)
{
	fields[0] = (struct field_def){ .name = n_number };
	fields[1] = (struct field_def){ .name = n_name };
	endpoints[0] = (struct endpoint_conf){ .name = n_sales };
	endpoints[1] = (struct endpoint_conf){ .name = n_support, .index = 1 };
	for (size_t i = 0; i < ENTITIES; i++)
		entities[i] = (struct entity_conf){ .def = { .name = i == 0 ? n_account : n_contact, .index = i, .fields = fields, .n_fields = 2 } };
	topology = (struct topology){ .name = n_topology, .endpoints = endpoints, .n_endpoints = ENDPOINTS, .entities = entities,
				      .n_entities = ENTITIES };
	topology.state.unix_path = server.socket;
}

static void bare_setup(void)
{
	signal(SIGPIPE, SIG_IGN);
	redis_server_make(&server);
	make_topology();
	loop = loop_new();
	patience = loop_timer_new(loop, on_impatient, NULL);
}

static void setup(void)
{
	bare_setup();
	redis_server_start(&server, NULL);
	open_and_wait();
}

static void teardown(void)
{
	store_free(&store);
	loop_timer_free(&patience);
	loop_free(&loop);
	redis_server_remove(&server);
}

/* ---- calls, waited for ---------------------------------------------------------------------------------------- */

static struct err answer_err;

static void note_answer(const struct err *e)
{
	answers++;
	err_clear(&answer_err);
	if (e != NULL)
		answer_err = *e;
	loop_stop(loop);
}

static void on_done(void *arg, const struct err *e)
{
	note_answer(e);
}

static void wait_answer(void)
{
	wait_for(&answers, answers + 1);
}

static void expect_fine(void)
{
	ck_assert_msg(answer_err.kind == 0, "%s %s", answer_err.code, answer_err.text);
}

static struct rid rid_of_number(uint32_t i)
{
	struct rid rid;
	uint64_t a = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);

	a ^= a >> 31;
	a *= UINT64_C(0xbf58476d1ce4e5b9);
	a ^= a >> 27;
	memcpy(rid.b, &a, 8);
	memcpy(rid.b + 6, &i, 4);
	return rid;
}

static struct buf got_bytes;
static struct value got_blobs[100000];
static struct rid got_rids[100000];
static bool got_found[100000];
static size_t got_n;
static uint64_t got_next;

static void keep_blobs(const struct value *blobs, size_t n)
{
	size_t at = 0;

	buf_clear(&got_bytes);
	buf_room(&got_bytes, 0);
	ck_assert_uint_le(n, countof(got_blobs));
	for (size_t i = 0; i < n; i++)
		if (blobs[i].len > 0)
			buf_add(&got_bytes, blobs[i].data, (size_t)blobs[i].len);
	for (size_t i = 0; i < n; i++) {
		got_blobs[i] = (struct value){ got_bytes.p + at, blobs[i].len };
		at += blobs[i].len > 0 ? (size_t)blobs[i].len : 0;
	}
	got_n = n;
}

static void on_vectors(void *arg, const struct value *blobs, size_t n, const struct err *e)
{
	if (e == NULL)
		keep_blobs(blobs, n);
	note_answer(e);
}

static void on_rids(void *arg, const struct rid *rids, const bool *found, size_t n, const struct err *e)
{
	if (e == NULL) {
		memcpy(got_rids, rids, n * sizeof *rids);
		memcpy(got_found, found, n * sizeof *found);
		got_n = n;
	}
	note_answer(e);
}

static void on_page(void *arg, const struct rid *rids, const struct value *blobs, size_t n, uint64_t next, const struct err *e)
{
	if (e == NULL) {
		keep_blobs(blobs, n);
		if (n > 0)
			memcpy(got_rids, rids, n * sizeof *rids);
		got_next = next;
	}
	note_answer(e);
}

static char *got_text;

static void on_text(void *arg, struct value text, const struct err *e)
{
	free(got_text);
	got_text = e == NULL && text.len >= 0 ? xstrndup(text.data, (size_t)text.len) : NULL;
	note_answer(e);
}

static char got_intents[1000];

static void on_intents(void *arg, const struct value *names, const struct value *blobs, size_t n, const struct err *e)
{
	size_t at = 0;

	got_intents[0] = '\0';
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(got_intents + at, sizeof got_intents - at, "%.*s=%.*s;", (int)names[i].len, names[i].data,
				       (int)blobs[i].len, blobs[i].data);
	note_answer(e);
}

static void write_one(struct rid rid, const char *blob, int32_t len, int64_t added)
{
	struct store_put put = { .rid = rid, .blob = { blob, len } };
	struct store_write w = { .puts = &put, .n_puts = 1, .records_added = added };

	store->ops->write(store, 0, &w, on_done, NULL);
	wait_answer();
	expect_fine();
}

/* Records [from, to): the vector of record i is `len` bytes, of which the first four are i. */
static void start_writing(size_t entity, uint32_t from, uint32_t to, int32_t len)
{
	size_t n = to - from;
	struct store_put *puts = xcalloc(n, sizeof *puts);
	char *bytes = xcalloc(n, (size_t)len);
	struct store_write w = { .puts = puts, .n_puts = n, .records_added = (int64_t)n };

	for (uint32_t i = from; i < to; i++) {
		char *blob = bytes + (size_t)(i - from) * (size_t)len;

		memset(blob, (int)(i % 251), (size_t)len);
		memcpy(blob, &i, sizeof i);
		puts[i - from] = (struct store_put){ .rid = rid_of_number(i), .blob = { blob, len } };
	}
	store->ops->write(store, entity, &w, on_done, NULL);
	free(puts);
	free(bytes);
}

static void start_recalling(size_t entity, uint32_t from, uint32_t to)
{
	struct rid *rids = xcalloc(to - from, sizeof *rids);

	for (uint32_t i = from; i < to; i++)
		rids[i - from] = rid_of_number(i);
	store->ops->recall(store, entity, rids, to - from, on_vectors, NULL);
	free(rids);
}

static void expect_recalled(uint32_t from, uint32_t to, int32_t len)
{
	ck_assert_uint_eq(got_n, to - from);
	for (uint32_t i = from; i < to; i++) {
		const struct value *v = &got_blobs[i - from];

		ck_assert_msg(v->len == len, "record %u: %d bytes", i, v->len);
		ck_assert(memcmp(v->data, &i, sizeof i) == 0);
		ck_assert_int_eq((unsigned char)v->data[len - 1], len > 4 ? (int)(i % 251) : (int)(i >> 24));
	}
}

static void recall(size_t entity, uint32_t from, uint32_t to)
{
	start_recalling(entity, from, to);
	wait_answer();
	expect_fine();
}

static long long bucket_count(size_t entity)
{
	char *text = redis_server_text(&server, "HGET crmsync:acme:meta e%u:buckets", (unsigned)entity);
	long long n = text != NULL ? atoll(text) : 1;

	free(text);
	return n;
}

static char *generation(void)
{
	char *born = redis_server_text(&server, "HGET crmsync:acme:meta born");

	born[6] = '\0';
	return born;
}

/* ---- vectors ------------------------------------------------------------------------------------------------- */

START_TEST(a_fresh_store_has_a_key_a_birth_and_numbers)
{
	char *key = redis_server_text(&server, "HGET crmsync:acme:meta key");

	ck_assert(store->ready);
	ck_assert_int_eq(losts, 0);
	ck_assert_uint_eq(strlen(key), 2 * DIGEST_KEY_BYTES);
	ck_assert_int_eq(strncmp(store->server, "Redis ", 6), 0);
	ck_assert_uint_eq(store->layouts[1].n_fields, 2);
	ck_assert_uint_eq(store->layouts[1].n_endpoints, 2);
	ck_assert_uint_eq(store->layouts[1].field_number[1], 1);
	ck_assert_uint_eq(store->layouts[1].fields_stored, 2);
	ck_assert_uint_eq(store->layouts[1].endpoint_number[1], 1);
	free(key);
}
END_TEST

START_TEST(numbers_are_kept_when_the_topology_is_reordered)
{
	struct digest_key key = store->key;

	store_free(&store);
	fields[0].name = n_name;
	fields[1].name = n_number;
	endpoints[0].name = (char *)"billing";
	open_and_wait();
	ck_assert_uint_eq(store->layouts[0].field_number[0], 1);
	ck_assert_uint_eq(store->layouts[0].field_number[1], 0);
	ck_assert_uint_eq(store->layouts[0].endpoint_number[0], 2);
	ck_assert_uint_eq(store->layouts[0].endpoint_number[1], 1);
	ck_assert(memcmp(&key, &store->key, sizeof key) == 0);
}
END_TEST

START_TEST(a_vector_comes_back_as_it_was_written)
{
	static const int32_t lengths[] = { 0, 1, 62, 63, 64, 65, 127, 128, 191, 192, 1000, 16319 };
	char *blob = xcalloc(1, 20000);

	for (int32_t i = 0; i < 20000; i++)
		blob[i] = (char)(i * 31 % 255);
	for (size_t i = 0; i < countof(lengths); i++) {
		struct rid rid = rid_of_number((uint32_t)i);

		write_one(rid, blob, lengths[i], 1);
		recall(0, (uint32_t)i, (uint32_t)i + 1);
		ck_assert_int_eq(got_blobs[0].len, lengths[i]);
		ck_assert(memcmp(got_blobs[0].data, blob, (size_t)lengths[i]) == 0);
	}
	ck_assert_int_eq(store->records[0], (int64_t)countof(lengths));
	free(blob);
}
END_TEST

/* Another process takes the lease, as the script would let it once ours is over. */
static void take_over(void)
{
	free(redis_server_text(&server, "HSET crmsync:acme:lease holder another until %lld", (long long)clock_wall_us() / 1000 + 5000));
	free(redis_server_text(&server, "HINCRBY crmsync:acme:fence n 1"));
}

START_TEST(a_write_of_who_was_overtaken_does_nothing)
{
	struct store_put put = { .rid = rid_of_number(1), .blob = { "new", 3 } };
	struct store_write w = { .puts = &put, .n_puts = 1 };
	int64_t fence = store->fence;

	write_one(rid_of_number(1), "old", 3, 1);
	take_over();
	store->ops->write(store, 0, &w, on_done, NULL);
	wait_answer();
	ck_assert_str_eq(answer_err.code, "fenced");
	while (strcmp(store->why.code, STORE_STANDBY) != 0)
		wait_for(&downs, downs + 1);
	ck_assert(!store->ready);
	free(redis_server_text(&server, "HSET crmsync:acme:lease until 0"));
	wait_for(&ups, 2);
	ck_assert_int_eq(store->fence, fence + 2);
	recall(0, 1, 2);
	ck_assert_int_eq(got_blobs[0].len, 3);
	ck_assert(memcmp(got_blobs[0].data, "old", 3) == 0);
	ck_assert_int_eq(losts, 0);
}
END_TEST

START_TEST(an_intent_of_who_was_overtaken_does_nothing)
{
	take_over();
	store->ops->intend(store, "late", "blob", 4, on_done, NULL);
	wait_answer();
	ck_assert_str_eq(answer_err.code, "fenced");
	free(redis_server_text(&server, "HSET crmsync:acme:lease until 0"));
	wait_for(&ups, 2);
	store->ops->intents(store, on_intents, NULL);
	wait_answer();
	ck_assert_str_eq(got_intents, "");
}
END_TEST

START_TEST(who_gave_the_lease_up_leaves_it_free_at_once)
{
	char *until;

	store->ops->leave(store, on_done, NULL);
	wait_answer();
	expect_fine();
	until = redis_server_text(&server, "HGET crmsync:acme:lease until");
	ck_assert_str_eq(until, "0");
	free(until);
}
END_TEST

START_TEST(a_higher_fencing_number_is_outranked)
{
	store->ops->outrank(store, 100);
	wait_for(&ups, 2);
	ck_assert_int_eq(store->fence, 101);
}
END_TEST

START_TEST(who_was_deleted_is_remembered_until_the_state_is_given_up)
{
	struct rid rids[3] = { rid_of_number(1), rid_of_number(2), rid_of_number(3) };
	struct store_put puts[2] = { { .rid = rids[0], .blob = { NULL, -1 } }, { .rid = rids[2], .blob = { NULL, -1 }, .unburied = true } };
	struct store_write w = { .puts = puts, .n_puts = 2, .records_added = -2 };
	char *stale;

	for (size_t i = 0; i < 3; i++)
		write_one(rids[i], "x", 1, 1);
	store->ops->write(store, 0, &w, on_done, NULL);
	wait_answer();
	store->ops->buried(store, 0, rids, 3, on_rids, NULL);
	wait_answer();
	expect_fine();
	ck_assert(got_found[0] && !got_found[1] && !got_found[2]);
	store->ops->renew(store);
	wait_for(&ups, 2);
	ck_assert_int_eq(losts, 1);
	ck_assert_int_eq(store->records[0], 0);
	recall(0, 1, 3);
	ck_assert_int_eq(got_blobs[1].len, -1);
	/* Calls are answered in order: behind this one the old keys are gone. */
	for (int i = 0; i < 20; i++)
		recall(0, 1, 3);
	stale = redis_server_text(&server, "HGET crmsync:acme:meta stale");
	ck_assert_ptr_null(stale);
}
END_TEST

START_TEST(what_was_never_written_is_absent)
{
	write_one(rid_of_number(1), "x", 1, 1);
	recall(0, 0, 3);
	ck_assert_int_eq(got_blobs[0].len, -1);
	ck_assert_int_eq(got_blobs[1].len, 1);
	ck_assert_int_eq(got_blobs[2].len, -1);
	recall(1, 1, 2);
	ck_assert_int_eq(got_blobs[0].len, -1);
}
END_TEST

START_TEST(a_vector_that_cannot_fit_fails_its_write_alone)
{
	char *blob = xcalloc(1, 20000);
	struct store_put put = { .rid = rid_of_number(1), .blob = { blob, 16320 } };
	struct store_write w = { .puts = &put, .n_puts = 1, .records_added = 1 };

	store->ops->write(store, 0, &w, on_done, NULL);
	ck_assert_int_eq(answers, 0);
	wait_answer();
	ck_assert_int_eq(answer_err.kind, ERR_ROW);
	ck_assert(store->ready);
	recall(0, 1, 2);
	ck_assert_int_eq(got_blobs[0].len, -1);
	free(blob);
}
END_TEST

static long long bucket_fields(void)
{
	char *g = generation();
	long long n = redis_server_do(&server, "HLEN crmsync:acme:%s:v:0:0", g);

	free(g);
	return n;
}

START_TEST(a_vector_that_shrinks_leaves_no_pieces)
{
	char blob[1000] = "long";
	struct rid rid = rid_of_number(7);

	write_one(rid, blob, 1000, 1);
	ck_assert_int_eq(bucket_fields(), 16);
	write_one(rid, "short", 5, 0);
	recall(0, 7, 8);		/* behind the trimming */
	ck_assert_int_eq(got_blobs[0].len, 5);
	ck_assert_int_eq(bucket_fields(), 1);
	write_one(rid, blob, 200, 0);
	recall(0, 7, 8);
	ck_assert_int_eq(got_blobs[0].len, 200);
	ck_assert_int_eq(bucket_fields(), 4);
	write_one(rid, NULL, -1, -1);
	recall(0, 7, 8);
	ck_assert_int_eq(got_blobs[0].len, -1);
	ck_assert_int_eq(bucket_fields(), 0);
	ck_assert_int_eq(store->records[0], 0);
}
END_TEST

START_TEST(pieces_are_remembered_over_a_reconnect)
{
	char blob[500] = "long";

	write_one(rid_of_number(7), blob, 500, 1);
	store_free(&store);
	open_and_wait();
	write_one(rid_of_number(7), "short", 5, 0);
	recall(0, 7, 8);
	ck_assert_int_eq(bucket_fields(), 1);
}
END_TEST

START_TEST(shrinking_and_growing_at_once_keeps_the_last)
{
	char blob[600] = "grown";
	struct store_put puts[] = { { .rid = rid_of_number(7), .blob = { "s", 1 } }, { .rid = rid_of_number(7), .blob = { blob, 600 } } };
	struct store_write shrink = { .puts = &puts[0], .n_puts = 1 }, grow = { .puts = &puts[1], .n_puts = 1 };

	write_one(rid_of_number(7), blob, 500, 1);
	store->ops->write(store, 0, &shrink, on_done, NULL);
	store->ops->write(store, 0, &grow, on_done, NULL);
	wait_for(&answers, answers + 2);
	recall(0, 7, 8);
	ck_assert_int_eq(got_blobs[0].len, 600);
	ck_assert(memcmp(got_blobs[0].data, blob, 600) == 0);
	ck_assert_int_eq(bucket_fields(), 10);
}
END_TEST

START_TEST(a_big_pipeline_is_answered_whole)
{
	start_writing(0, 0, 5000, 60);
	start_recalling(0, 0, 5000);
	wait_for(&answers, 2);
	expect_fine();
	expect_recalled(0, 5000, 60);
	ck_assert_int_eq(store->records[0], 5000);
	ck_assert_int_gt(store->bytes_sent, 5000 * 100);
	ck_assert_int_gt(store->bytes_received, 5000 * 60);
}
END_TEST

START_TEST(ten_thousand_calls_are_answered_in_order)
{
	for (uint32_t i = 0; i < 10000; i++) {
		struct store_put put = { .rid = rid_of_number(0), .blob = { (const char *)&i, 4 } };
		struct store_write w = { .puts = &put, .n_puts = 1 };

		store->ops->write(store, 0, &w, on_done, NULL);
	}
	wait_for(&answers, 10000);
	recall(0, 0, 1);
	ck_assert_int_eq(memcmp(got_blobs[0].data, &(uint32_t){ 9999 }, 4), 0);
}
END_TEST

/* ---- buckets ------------------------------------------------------------------------------------------------- */

START_TEST(all_records_are_found_while_buckets_split)
{
	for (uint32_t i = 0; i < 20000; i += 500) {
		start_writing(0, i, i + 500, i % 1000 == 0 ? 62 : 150);
		start_recalling(0, 0, i + 500);		/* behind the splits, in the same pipeline */
		wait_for(&answers, answers + 2);
		expect_fine();
		for (uint32_t k = 0; k < i + 500; k++)
			ck_assert_msg(got_blobs[k].len > 0, "record %u of %u is gone", k, i + 500);
	}
	ck_assert_int_ge(bucket_count(0), 20000 / 32);
	ck_assert_int_eq(downs, 0);
}
END_TEST

START_TEST(sizes_are_known_again_after_a_reconnect)
{
	start_writing(0, 0, 3000, 62);
	wait_answer();
	recall(0, 0, 1);		/* behind the splits */
	store_free(&store);
	open_and_wait();
	ck_assert_int_eq(store->records[0], 3000);
	recall(0, 0, 3000);
	expect_recalled(0, 3000, 62);
	ck_assert_int_gt(bucket_count(0), 90);
}
END_TEST

START_TEST(presize_makes_room_once)
{
	store->ops->presize(store, 0, 64000, on_done, NULL);
	start_writing(0, 0, 2000, 62);
	wait_for(&answers, 2);
	expect_fine();
	ck_assert_int_eq(bucket_count(0), 2000);
	store->ops->presize(store, 0, 640000, on_done, NULL);
	recall(0, 0, 2000);
	wait_for(&answers, 4);
	ck_assert_int_eq(bucket_count(0), 2000);
	recall(0, 0, 2000);
	expect_recalled(0, 2000, 62);
	ck_assert_int_eq(downs, 0);
}
END_TEST

/* By the server's own count. */
static size_t calls_of(const char *command)
{
	char *stats = redis_server_text(&server, "INFO commandstats"), name[64], *line;
	size_t n;

	snprintf(name, sizeof name, "cmdstat_%s:calls=", command);
	line = stats != NULL ? strstr(stats, name) : NULL;
	n = line != NULL ? strtoul(line + strlen(name), NULL, 10) : 0;
	free(stats);
	return n;
}

START_TEST(records_of_an_empty_entity_are_not_asked_for_until_they_are_written)
{
	store->ops->presize(store, 0, 64000, on_done, NULL);
	wait_answer();
	recall(0, 0, 4000);
	for (size_t i = 0; i < 4000; i++)
		ck_assert_int_lt(got_blobs[i].len, 0);
	ck_assert_uint_eq(calls_of("hmget"), 0);
	start_writing(0, 0, 2000, 62);
	start_recalling(0, 0, 4000);		/* behind the write, before its answer */
	wait_for(&answers, answers + 2);
	for (size_t i = 0; i < 4000; i++)
		ck_assert_int_eq(got_blobs[i].len, i < 2000 ? 62 : -1);
	ck_assert_uint_ge(calls_of("hmget"), 2000);
	ck_assert_uint_lt(calls_of("hmget"), 2000 + 100);
}
END_TEST

START_TEST(that_records_are_new_is_known_without_an_answer_of_redis_as_soon_as_it_is_proven)
{
	store->ops->presize(store, 0, 64000, on_done, NULL);
	got_n = 0;
	start_recalling(0, 0, 100);
	wait_answer();
	ck_assert_uint_eq(got_n, 0);		/* that was the proof */
	wait_answer();
	ck_assert_uint_eq(got_n, 100);
	kill(server.pid, SIGSTOP);
	got_n = 0;
	recall(0, 0, 100);
	kill(server.pid, SIGCONT);
	ck_assert_uint_eq(got_n, 100);
	for (size_t i = 0; i < 100; i++)
		ck_assert_int_lt(got_blobs[i].len, 0);
}
END_TEST

START_TEST(what_others_write_into_an_empty_entity_is_seen_after_a_reconnect)
{
	store->ops->presize(store, 0, 64000, on_done, NULL);
	wait_answer();
	start_writing(0, 0, 10, 62);
	wait_answer();
	store_free(&store);
	open_and_wait();
	recall(0, 0, 100);
	for (size_t i = 0; i < 100; i++)
		ck_assert_int_eq(got_blobs[i].len, i < 10 ? 62 : -1);
	ck_assert_uint_eq(calls_of("hmget"), 100);
}
END_TEST

START_TEST(more_records_than_were_expected_are_found_too)
{
	store->ops->presize(store, 0, 100, on_done, NULL);
	wait_answer();
	for (uint32_t i = 0; i < 6000; i += 500) {
		start_writing(0, i, i + 500, 62);
		start_recalling(0, 0, i + 500);
		wait_for(&answers, answers + 2);
		expect_recalled(0, i + 500, 62);
	}
}
END_TEST

START_TEST(presize_spares_records_that_were_not_counted)
{
	write_one(rid_of_number(3), "here", 4, 0);
	store->ops->presize(store, 0, 64000, on_done, NULL);
	wait_answer();
	ck_assert_int_eq(answer_err.kind, ERR_TRANSIENT);
	wait_for(&ups, 2);
	ck_assert_int_eq(bucket_count(0), 1);
	recall(0, 3, 4);
	ck_assert_int_eq(got_blobs[0].len, 4);
}
END_TEST

START_TEST(a_split_that_fails_loses_nothing)
{
	/* Somebody else has counted the buckets on: our next split is refused, and what stands behind it must not leave. */
	start_writing(0, 0, 32, 62);
	wait_answer();
	redis_server_do(&server, "HSET crmsync:acme:meta e0:buckets 2");
	start_writing(0, 32, 40, 62);
	start_writing(0, 40, 48, 62);
	wait_for(&answers, answers + 2);
	ck_assert_int_eq(answer_err.kind, ERR_TRANSIENT);
	wait_for(&downs, 1);
	ck_assert_str_eq(down_err.code, "SPLIT");
	redis_server_do(&server, "HSET crmsync:acme:meta e0:buckets 1");
	wait_for(&ups, 2);
	recall(0, 0, 40);
	expect_recalled(0, 40, 62);
}
END_TEST

START_TEST(buckets_stay_listpacks)
{
	char *g = generation(), *encoding, key[64];

	store->ops->presize(store, 0, 20000, on_done, NULL);
	start_writing(0, 0, 20000, 150);
	wait_for(&answers, 2);
	for (unsigned b = 0; b < 625; b += 25) {
		snprintf(key, sizeof key, "crmsync:acme:%s:v:0:%x", g, b);
		encoding = redis_server_text(&server, "OBJECT ENCODING %s", key);
		ck_assert_msg(encoding != NULL, "no bucket %x", b);
		ck_assert_str_eq(encoding, "listpack");
		free(encoding);
	}
	free(g);
}
END_TEST

START_TEST(a_scan_sees_every_record_also_while_buckets_split)
{
	static bool seen[20000];
	uint64_t at = 0;
	uint32_t written = 4000;

	memset(seen, 0, sizeof seen);
	start_writing(0, 0, written, 100);
	wait_answer();
	do {
		store->ops->scan(store, 0, at, on_page, NULL);
		if (written < 20000)
			start_writing(0, written, written + 400, 100);
		wait_for(&answers, answers + (written < 20000 ? 2 : 1));
		written += written < 20000 ? 400 : 0;
		for (size_t i = 0; i < got_n; i++) {
			uint32_t number;
			struct rid rid;

			memcpy(&number, got_blobs[i].data, 4);
			rid = rid_of_number(number);
			ck_assert(rid_equal(&rid, &got_rids[i]));
			ck_assert_int_eq(got_blobs[i].len, 100);
			seen[number] = true;
		}
		at = got_next;
	} while (at != 0);
	for (uint32_t i = 0; i < 4000; i++)
		ck_assert_msg(seen[i], "record %u was not seen", i);
}
END_TEST

START_TEST(an_empty_scan_ends_at_once)
{
	store->ops->scan(store, 0, 0, on_page, NULL);
	wait_answer();
	expect_fine();
	ck_assert_uint_eq(got_n, 0);
	ck_assert_uint_eq(got_next, 0);
}
END_TEST

/* ---- local ids ------------------------------------------------------------------------------------------------ */

static void map_all(const char *const *ids, size_t n, bool gone)
{
	struct store_map_put *maps = xcalloc(2 * n, sizeof *maps);
	struct store_write w = { .maps = maps, .n_maps = 2 * n };

	for (size_t i = 0; i < 2 * n; i++)
		maps[i] = (struct store_map_put){ .endpoint = (uint8_t)(i % 2), .id = value_of(ids[i / 2]),
						  .rid = rid_of_number((uint32_t)i), .gone = gone };
	store->ops->write(store, 0, &w, on_done, NULL);
	wait_answer();
	expect_fine();
	free(maps);
}

static void look_up(const char *const *ids, size_t n, uint8_t endpoint)
{
	struct value *values = xcalloc(n, sizeof *values);

	for (size_t i = 0; i < n; i++)
		values[i] = value_of(ids[i]);
	store->ops->lookup(store, 0, endpoint, values, n, on_rids, NULL);
	free(values);
	wait_answer();
	expect_fine();
	ck_assert_uint_eq(got_n, n);
}

static const char long_id[] = "a-very-long-identifier-that-would-turn-the-bucket-into-a-hash-table-if-it-were-a-field";
static const char *const odd_ids[] = {
	"0", "1", "2", "71", "72", "143", "144", "999999999999", "1000000000000", "-1", "01", "", "9223372036854775807",
	"b5b1a7a6-2f0e-4bb4-9d1f-111111111111", "x", long_id,
};

START_TEST(any_id_leads_to_its_record)
{
	map_all(odd_ids, countof(odd_ids), false);
	for (uint8_t endpoint = 0; endpoint < 2; endpoint++) {
		look_up(odd_ids, countof(odd_ids), endpoint);
		for (size_t i = 0; i < countof(odd_ids); i++) {
			struct rid rid = rid_of_number((uint32_t)(2 * i + endpoint));

			ck_assert_msg(got_found[i], "id '%s'", odd_ids[i]);
			ck_assert(rid_equal(&rid, &got_rids[i]));
		}
	}
}
END_TEST

START_TEST(long_ids_leave_their_bucket_a_listpack)
{
	char *g = generation(), *encoding, key[64];

	map_all(odd_ids, countof(odd_ids), false);
	snprintf(key, sizeof key, "crmsync:acme:%s:t:0:0:0", g);
	encoding = redis_server_text(&server, "OBJECT ENCODING %s", key);
	ck_assert_ptr_nonnull(encoding);
	ck_assert_str_eq(encoding, "listpack");
	free(encoding);
	free(g);
}
END_TEST

START_TEST(an_id_that_is_gone_is_not_found)
{
	static const char *const others[] = { "3", "1", "y", "-1" };

	map_all(odd_ids, countof(odd_ids), false);
	map_all(odd_ids + 1, 1, true);
	map_all(odd_ids + 9, 1, true);
	look_up(others, countof(others), 0);
	for (size_t i = 0; i < countof(others); i++)
		ck_assert_msg(!got_found[i], "id '%s'", others[i]);
	look_up(odd_ids, 1, 0);
	ck_assert(got_found[0]);
}
END_TEST

START_TEST(puts_and_gones_of_one_id_keep_their_order)
{
	struct store_map_put maps[] = {
		{ .id = value_of("5"), .rid = rid_of_number(1) }, { .id = value_of("6"), .rid = rid_of_number(1), .gone = true },
		{ .id = value_of("5"), .rid = rid_of_number(1), .gone = true }, { .id = value_of("6"), .rid = rid_of_number(2) },
		{ .id = value_of("z"), .rid = rid_of_number(3), .gone = true }, { .id = value_of("z"), .rid = rid_of_number(4) },
	};
	struct store_write w = { .maps = maps, .n_maps = countof(maps) };
	static const char *const ids[] = { "5", "6", "z" };

	store->ops->write(store, 0, &w, on_done, NULL);
	wait_answer();
	look_up(ids, 3, 0);
	ck_assert(!got_found[0]);
	ck_assert(got_found[1]);
	ck_assert(got_found[2]);
}
END_TEST

/* `n` ids from `first` on, `step` apart, in one write; the record of id i is rid_of_number(i + shift). */
static void map_range(uint32_t first, uint32_t n, uint32_t step, uint32_t shift, bool gone)
{
	struct store_map_put *maps = xcalloc(n, sizeof *maps);
	struct store_write w = { .maps = maps, .n_maps = n };
	char (*texts)[16] = xcalloc(n, sizeof *texts);

	for (uint32_t i = 0; i < n; i++) {
		snprintf(texts[i], sizeof texts[i], "%u", first + i * step);
		maps[i] = (struct store_map_put){ .id = value_of(texts[i]), .rid = rid_of_number(first + i * step + shift), .gone = gone };
	}
	store->ops->write(store, 0, &w, on_done, NULL);
	wait_answer();
	expect_fine();
	free(maps);
	free(texts);
}

/* shifts[i]: what map_range() gave to id first + i; -1: none. */
static void expect_range(uint32_t first, uint32_t n, const int *shifts)
{
	struct value *ids = xcalloc(n, sizeof *ids);
	char (*texts)[16] = xcalloc(n, sizeof *texts);

	for (uint32_t i = 0; i < n; i++)
		ids[i] = (struct value){ texts[i], snprintf(texts[i], sizeof texts[i], "%u", first + i) };
	store->ops->lookup(store, 0, 0, ids, n, on_rids, NULL);
	wait_answer();
	expect_fine();
	for (uint32_t i = 0; i < n; i++) {
		struct rid rid = rid_of_number(first + i + (uint32_t)shifts[i]);

		ck_assert_msg(got_found[i] == (shifts[i] >= 0), "id %u: found %d", first + i, got_found[i]);
		ck_assert_msg(shifts[i] < 0 || rid_equal(&rid, &got_rids[i]), "id %u leads elsewhere", first + i);
	}
	free(ids);
	free(texts);
}

static void shift_all(int *shifts, size_t from, size_t to, size_t step, int shift)
{
	for (size_t i = from; i < to; i += step)
		shifts[i] = shift;
}

/* Dense pages, loose ones over them, dense ones over those; holes, steps, ends of pages, deletes, a reconnect. */
START_TEST(dense_and_loose_pages_agree)
{
	static int shifts[1000];

	shift_all(shifts, 0, 1000, 1, -1);
	map_range(100, 600, 1, 0, false);
	shift_all(shifts, 100, 700, 1, 0);
	expect_range(0, 1000, shifts);
	expect_range(150, 3, shifts + 150);
	map_range(300, 10, 1, 7, false);
	shift_all(shifts, 300, 310, 1, 7);
	map_range(305, 1, 1, 0, true);
	map_range(400, 100, 1, 0, true);
	shift_all(shifts, 305, 306, 1, -1);
	shift_all(shifts, 400, 500, 1, -1);
	expect_range(0, 1000, shifts);
	map_range(381, 127, 1, 9, false);
	shift_all(shifts, 381, 508, 1, 9);
	map_range(510, 120, 2, 11, false);
	shift_all(shifts, 510, 750, 2, 11);
	expect_range(0, 1000, shifts);
	store_free(&store);
	open_and_wait();
	map_range(381, 5, 1, 0, true);
	shift_all(shifts, 381, 386, 1, -1);
	expect_range(0, 1000, shifts);
}
END_TEST

/* A first load comes with ever higher ids. */
START_TEST(ids_of_an_empty_entity_are_not_asked_for_beyond_those_that_were_written)
{
	static int shifts[1000];

	shift_all(shifts, 0, 1000, 1, -1);
	store->ops->presize(store, 0, 64000, on_done, NULL);
	wait_answer();
	expect_range(0, 1000, shifts);
	ck_assert_uint_eq(calls_of("hmget"), 0);
	map_range(100, 600, 1, 0, false);
	shift_all(shifts, 100, 700, 1, 0);
	kill(server.pid, SIGSTOP);
	expect_range(700, 300, shifts + 700);
	expect_range(0, 100, shifts);
	kill(server.pid, SIGCONT);
	ck_assert_uint_eq(calls_of("hmget"), 0);
	expect_range(0, 1000, shifts);
	map_range(50, 1, 1, 0, false);
	shift_all(shifts, 50, 51, 1, 0);
	expect_range(0, 1000, shifts);
	store_free(&store);
	open_and_wait();
	expect_range(0, 1000, shifts);
}
END_TEST

START_TEST(ids_that_run_backwards_are_kept_too)
{
	enum { N = 500 };
	struct store_map_put maps[N];
	struct store_write w = { .maps = maps, .n_maps = N };
	char texts[N][16];
	static int shifts[N];

	for (uint32_t i = 0; i < N; i++) {
		snprintf(texts[i], sizeof texts[i], "%u", N - 1 - i);
		maps[i] = (struct store_map_put){ .id = value_of(texts[i]), .rid = rid_of_number(N - 1 - i) };
	}
	store->ops->write(store, 0, &w, on_done, NULL);
	wait_answer();
	expect_range(0, N, shifts);
}
END_TEST

START_TEST(a_dense_page_takes_no_more_room_than_it_needs)
{
	char *g = generation(), key[64];

	map_range(0, 80, 1, 0, false);
	map_range(80, 80, 1, 0, false);
	snprintf(key, sizeof key, "crmsync:acme:%s:d:0:0:0", g);
	ck_assert_int_eq(redis_server_do(&server, "EXISTS %s", key), 1);
	ck_assert_int_lt(redis_server_do(&server, "MEMORY USAGE %s", key), 1280 + 100);
	free(g);
}
END_TEST

/* 3,000 text ids, before and behind splits and a reconnect. */
START_TEST(text_ids_move_with_the_splits)
{
	enum { N = 3000 };
	static char texts[N][40];
	static const char *ids[N];

	for (int i = 0; i < N; i++) {
		snprintf(texts[i], sizeof texts[i], "%08x-2f0e-4bb4-9d1f-%012x", (unsigned)i * 2654435761u, (unsigned)i);
		ids[i] = texts[i];
	}
	map_all(ids, N / 2, false);
	start_writing(0, 0, N, 62);
	start_writing(0, N, 2 * N, 62);
	wait_for(&answers, answers + 2);
	store_free(&store);
	open_and_wait();
	start_writing(0, 2 * N, 3 * N, 62);
	wait_answer();
	recall(0, 0, 1);
	ck_assert_int_gt(bucket_count(0), 200);
	look_up(ids, N, 1);
	for (size_t i = 0; i < N; i++)
		ck_assert_msg(got_found[i] == (i < N / 2), "id %zu", i);
}
END_TEST

/* ---- positions and intents ---------------------------------------------------------------------------------------- */

static void read_position(const char *name)
{
	store->ops->position(store, name, on_text, NULL);
	wait_answer();
	expect_fine();
}

START_TEST(positions_are_kept_and_deleted)
{
	struct store_position p[] = { { "sales/contact", "2026-01-01 00:00:00+00,17" }, { "support/contact", "" } };
	struct store_write w = { .positions = p, .n_positions = 2 };

	store->ops->write(store, 0, &w, on_done, NULL);
	wait_answer();
	read_position("sales/contact");
	ck_assert_str_eq(got_text, p[0].text);
	read_position("support/contact");
	ck_assert_str_eq(got_text, "");
	read_position("nobody");
	ck_assert_ptr_null(got_text);
	p[0].text = NULL;
	store->ops->write(store, 0, &w, on_done, NULL);
	wait_answer();
	read_position("sales/contact");
	ck_assert_ptr_null(got_text);
}
END_TEST

START_TEST(an_intent_lives_until_its_write)
{
	struct store_write w = { .intent_done = "one" };

	store->ops->intend(store, "one", "first", 5, on_done, NULL);
	store->ops->intend(store, "two", "second", 6, on_done, NULL);
	wait_for(&answers, 2);
	store->ops->write(store, 0, &w, on_done, NULL);
	store->ops->intents(store, on_intents, NULL);
	wait_for(&answers, 4);
	ck_assert_str_eq(got_intents, "two=second;");
}
END_TEST

/* The first leaves alone; what comes before its answer waits, and leaves in one transaction, whatever was read in between. */
START_TEST(writes_that_wait_for_their_turn_go_together)
{
	size_t before = calls_of("exec"), found = 0;

	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof name, "n%02d", i);
		store->ops->intend(store, name, "blob", 4, on_done, NULL);
		store->ops->recall(store, 0, &(struct rid){ .b = { (unsigned char)i } }, 1, on_vectors, NULL);
	}
	wait_for(&answers, 40);
	ck_assert_uint_le(calls_of("exec") - before, 2);
	store->ops->intents(store, on_intents, NULL);
	wait_for(&answers, 41);
	for (const char *p = got_intents; (p = strchr(p, ';')) != NULL; p++)
		found++;
	ck_assert_uint_eq(found, 20);
}
END_TEST

/* ---- for backups ---------------------------------------------------------------------------------------------- */

static char story[400];

static void tell(char what, const struct value *blob)
{
	size_t at = strlen(story);

	snprintf(story + at, sizeof story - at, "%c%.*s ", what, blob->len > 0 ? (int)blob->len : 1, blob->len > 0 ? blob->data : "-");
}

static void on_tapped(void *arg, size_t entity, const struct store_put *puts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		tell('w', &puts[i].blob);
}

static void on_told_page(void *arg, const struct rid *rids, const struct value *blobs, size_t n, uint64_t next, const struct err *e)
{
	tell('p', n > 0 ? &blobs[0] : &VALUE_NULL);
	note_answer(e);
}

static void start_write(const char *blob)
{
	struct store_put put = { .rid = rid_of_number(1), .blob = blob != NULL ? value_of(blob) : VALUE_NULL };
	struct store_write w = { .puts = &put, .n_puts = 1 };

	store->ops->write(store, 0, &w, on_done, NULL);
}

/* Whoever copies page by page and notes writes behind has of each record the last word, wherever the pages lie among the writes. */
START_TEST(a_tap_is_told_of_writes_in_the_order_in_which_pages_see_them)
{
	const char *last = "p1", *rest = story;

	write_one(rid_of_number(1), "1", 1, 1);
	store->tap = (struct store_tap){ on_tapped, NULL };
	for (int i = 2; i < 10; i++) {
		char blob[2] = { (char)('0' + i), '\0' };

		store->ops->scan(store, 0, 0, on_told_page, NULL);
		start_write(i % 5 == 0 ? NULL : blob);
		store->ops->scan(store, 0, 0, on_told_page, NULL);
	}
	wait_for(&answers, 1 + 24);
	store->tap = (struct store_tap){ NULL, NULL };
	start_write("unheard");
	wait_answer();
	for (; *rest != '\0'; rest += 3) {
		ck_assert_msg(rest[0] == 'w' || rest[1] == last[1], "a page shows what was not told before: %s", story);
		last = rest;
	}
	ck_assert_msg(strstr(story, "w2 ") != NULL && strstr(story, "w- ") != NULL && strncmp(last, "p9", 2) == 0, "%s", story);
}
END_TEST

static size_t facts_n;
static char facts_text[2000];

static void on_facts(void *arg, const struct store_fact *facts, size_t n, const struct err *e)
{
	facts_n = n;
	facts_text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		snprintf(facts_text + strlen(facts_text), sizeof facts_text - strlen(facts_text), "%c %.*s=%.*s;", "NP"[facts[i].what],
			 (int)facts[i].name.len, facts[i].name.data, (int)facts[i].text.len, facts[i].text.data);
	note_answer(e);
}

START_TEST(names_and_positions_are_told)
{
	struct store_position p = { "epoch/sales", "1 2" };
	struct store_write w = { .positions = &p, .n_positions = 1 };

	store->ops->write(store, 0, &w, on_done, NULL);
	wait_answer();
	store->ops->facts(store, on_facts, NULL);
	wait_answer();
	expect_fine();
	ck_assert_msg(strstr(facts_text, "N endpoint/support=1;") != NULL && strstr(facts_text, "P epoch/sales=1 2;") != NULL, "%s", facts_text);
}
END_TEST

static void reopen_with(const struct store_restore *restore)
{
	store_free(&store);
	free(redis_server_text(&server, "HSET crmsync:acme:lease until 0"));
	ups = downs = losts = answers = 0;
	store = restore != NULL ? redis_store_restoring(loop, &topology, &events, restore) : redis_store_new(loop, &topology, &events);
}

START_TEST(a_state_that_is_being_filled_is_believed_by_nobody_until_it_is_full)
{
	const struct store_fact names[] = { { FACT_NAME, value_of("endpoint/support"), value_of("7") }, { FACT_NAME, value_of("next/endpoint"), value_of("8") } };
	struct store_restore restore = { .names = names, .n_names = 2 };

	memset(restore.key.secret, 3, sizeof restore.key.secret);
	write_one(rid_of_number(1), "1", 1, 1);
	reopen_with(&restore);
	wait_for(&downs, 1);
	ck_assert_str_eq(down_err.code, "not-empty");
	ck_assert_msg(strstr(down_err.text, "it knows 1 records") != NULL, "%s", down_err.text);
	reopen_with(NULL);
	wait_for(&ups, 1);
	recall(0, 1, 2);
	ck_assert_msg(got_blobs[0].len == 1, "nothing was touched");
	restore.replace = true;
	reopen_with(&restore);
	wait_for(&ups, 1);
	ck_assert_int_eq(store->key.secret[100], 3);
	ck_assert_uint_eq(store->layouts[0].endpoint_number[1], 7);
	ck_assert_uint_eq(store->layouts[0].endpoint_number[0], 8);
	write_one(rid_of_number(2), "2", 1, 1);
	reopen_with(NULL);
	wait_for(&downs, 1);
	ck_assert_int_eq(down_err.kind, ERR_CONFIG);
	ck_assert_str_eq(down_err.code, "restoring");
	restore.replace = false;		/* what is half full is in nobody's way */
	reopen_with(&restore);
	wait_for(&ups, 1);
	recall(0, 2, 3);
	ck_assert_int_eq(got_blobs[0].len, -1);
	write_one(rid_of_number(3), "3", 1, 1);
	store->ops->restored(store, on_done, NULL);
	wait_answer();
	expect_fine();
	reopen_with(NULL);
	wait_for(&ups, 1);
	ck_assert_int_eq(store->records[0], 1);
	recall(0, 3, 4);
	ck_assert_int_eq(got_blobs[0].len, 1);
}
END_TEST

/* Whoever stands by watches the number; the one that it takes itself must not make its first write void. */
START_TEST(who_stood_by_goes_on_in_the_same_breath)
{
	store_free(&store);
	free(redis_server_text(&server, "HSET crmsync:acme:lease holder another until 99999999999999"));
	free(redis_server_text(&server, "HSET crmsync:acme:fence n 50"));
	open_store();
	free(redis_server_text(&server, "EVAL %s 1 crmsync:acme:lease", "local t=redis.call('TIME') "
			       "return redis.call('HSET',KEYS[1],'until',t[1]*1000+math.floor(t[2]/1000)+2000)"));
	wait_for(&downs, 1);
	ck_assert_str_eq(down_err.code, STORE_STANDBY);
	wait_for(&ups, 1);
	write_one(rid_of_number(1), "1", 1, 1);
	ck_assert_int_eq(store->fence, 51);
	ck_assert_int_eq(downs, 1);
}
END_TEST

static int ticks;

static void on_look(void *arg)
{
	ticks++;
	loop_stop(loop);
}

/* Turns the loop until the server says `want` in that section of INFO. */
static void wait_for_info(const char *section, bool (*there)(const char *info))
{
	struct loop_timer *look = loop_timer_new(loop, on_look, NULL);
	bool found = false;

	for (ticks = 0; !found;) {
		char *info = redis_server_text(&server, "INFO %s", section);

		found = there(info);
		free(info);
		ck_assert_int_lt(ticks, PATIENCE_MS / 50);
		loop_timer_set(look, 50);
		wait_for(&ticks, ticks + 1);
	}
	loop_timer_free(&look);
}

static bool was_asked(const char *info)
{
	return strstr(info, "cmdstat_hget:") != NULL;
}

/* Each of our own looks is a connection too: so many more than looks. */
static bool was_tried_often(const char *info)
{
	return atoi(strstr(info, "total_connections_received:") + 27) > ticks + 5;
}

/* ---- bad days ------------------------------------------------------------------------------------------------------ */

START_TEST(calls_before_ready_are_answered_later_as_transient)
{
	bare_setup();
	open_store();
	start_recalling(0, 0, 3);
	start_writing(0, 0, 3, 10);
	store->ops->intents(store, on_intents, NULL);
	ck_assert_int_eq(answers, 0);
	wait_for(&answers, 3);
	ck_assert_int_eq(answer_err.kind, ERR_TRANSIENT);
	wait_for(&downs, 1);
	ck_assert_int_eq(down_err.kind, ERR_TRANSIENT);
	ck_assert_str_eq(down_err.code, "ENOENT");
	redis_server_start(&server, NULL);
	wait_for(&ups, 1);
	ck_assert_int_eq(downs, 1);
	recall(0, 0, 1);
}
END_TEST

START_TEST(freeing_answers_what_is_outstanding)
{
	start_writing(0, 0, 100, 60);
	start_recalling(0, 0, 100);
	ck_assert_int_eq(answers, 0);
	store_free(&store);
	ck_assert_int_eq(answers, 2);
	ck_assert_int_eq(answer_err.kind, ERR_TRANSIENT);
	ck_assert_int_eq(downs, 0);
}
END_TEST

static void free_in_answer(void *arg, const struct value *blobs, size_t n, const struct err *e)
{
	if (e == NULL)
		store_free(&store);
	note_answer(e);
}

START_TEST(the_store_may_be_freed_inside_an_answer)
{
	struct rid rid = rid_of_number(1);

	store->ops->recall(store, 0, &rid, 1, free_in_answer, NULL);
	start_recalling(0, 0, 100);
	wait_for(&answers, 2);
	ck_assert_ptr_null(store);
}
END_TEST

static void free_in_event(void *arg, const struct err *e)
{
	store_free(&store);
	on_down(arg, e);
}

START_TEST(the_store_may_be_freed_inside_down)
{
	store->events.down = free_in_event;
	start_recalling(0, 0, 100);
	redis_server_kill(&server);
	wait_for(&downs, 1);
	wait_for(&answers, 1);
	ck_assert_ptr_null(store);
}
END_TEST

START_TEST(an_emptied_state_is_noticed_before_anything_looks_absent)
{
	struct digest_key key = store->key;

	start_writing(0, 0, 100, 62);
	wait_answer();
	redis_server_do(&server, "FLUSHALL");
	start_recalling(0, 0, 100);
	start_recalling(0, 0, 100);
	wait_for(&answers, 3);
	ck_assert_int_eq(answer_err.kind, ERR_TRANSIENT);
	ck_assert_str_eq(answer_err.code, "state-lost");
	ck_assert_int_eq(losts, 1);
	ck_assert_int_eq(lost_before_answers, 1);
	wait_for(&ups, 2);
	ck_assert_int_eq(losts, 1);
	ck_assert_int_eq(store->records[0], 0);
	ck_assert(memcmp(&key, &store->key, sizeof key) == 0);
	recall(0, 0, 100);
	ck_assert_int_eq(got_blobs[50].len, -1);
}
END_TEST

START_TEST(an_emptied_state_is_noticed_by_a_write_and_keeps_nothing_of_it)
{
	struct store_position p = { "sales/contact", "17" };
	struct store_write w = { .positions = &p, .n_positions = 1 };

	redis_server_do(&server, "FLUSHALL");
	store->ops->write(store, 0, &w, on_done, NULL);
	wait_answer();
	ck_assert_str_eq(answer_err.code, "state-lost");
	ck_assert_int_eq(losts, 1);
	wait_for(&ups, 2);
	read_position("sales/contact");
	ck_assert_ptr_null(got_text);
}
END_TEST

START_TEST(a_replaced_state_is_noticed)
{
	char key[2 * DIGEST_KEY_BYTES + 1];

	memset(key, 'a', sizeof key - 1);
	key[sizeof key - 1] = '\0';
	redis_server_do(&server, "HSET crmsync:acme:meta born 0123456789abcdef0123456789abcdef key %s", key);
	start_recalling(0, 0, 1);
	wait_answer();
	ck_assert_str_eq(answer_err.code, "state-lost");
	wait_for(&ups, 2);
	ck_assert_int_eq(losts, 1);
	ck_assert_uint_eq(store->key.secret[100], 0xaa);
}
END_TEST

START_TEST(a_restart_without_persistence_is_a_loss)
{
	start_writing(0, 0, 100, 62);
	wait_answer();
	start_recalling(0, 0, 100);
	redis_server_kill(&server);
	wait_for(&downs, 1);
	wait_for(&answers, 2);
	redis_server_start(&server, NULL);
	wait_for(&ups, 2);
	ck_assert_int_eq(losts, 1);
	recall(0, 0, 1);
	ck_assert_int_eq(got_blobs[0].len, -1);
}
END_TEST

static const char *const append_only[] = { "--appendonly", "yes", "--appendfsync", "always", NULL };

START_TEST(a_restart_with_an_append_only_file_loses_nothing)
{
	bare_setup();
	redis_server_start(&server, append_only);
	open_and_wait();
	start_writing(0, 0, 2000, 62);
	wait_answer();
	expect_fine();
	redis_server_kill(&server);
	wait_for(&downs, 1);
	redis_server_start(&server, append_only);
	wait_for(&ups, 2);
	ck_assert_int_eq(losts, 0);
	ck_assert_int_eq(store->records[0], 2000);
	recall(0, 0, 2000);
	expect_recalled(0, 2000, 62);
}
END_TEST

START_TEST(a_server_that_may_evict_is_refused)
{
	static const char *const args[] = { "--maxmemory-policy", "allkeys-lru", NULL };

	bare_setup();
	redis_server_start(&server, args);
	open_store();
	wait_for(&downs, 1);
	ck_assert_int_eq(down_err.kind, ERR_CONFIG);
	ck_assert_str_eq(down_err.code, "eviction");
	ck_assert_ptr_nonnull(strstr(down_err.text, "maxmemory-policy noeviction"));
	ck_assert_int_eq(redis_server_do(&server, "EXISTS crmsync:acme:meta"), 0);
	start_recalling(0, 0, 1);
	wait_answer();
	ck_assert_int_eq(answer_err.kind, ERR_TRANSIENT);
	free(redis_server_text(&server, "CONFIG RESETSTAT"));
	wait_for_info("stats", was_tried_often);
	ck_assert_int_eq(downs, 1);
	/* The operator mends it, and is not asked to restart anything. */
	free(redis_server_text(&server, "CONFIG SET maxmemory-policy noeviction"));
	wait_for(&ups, 1);
	ck_assert_int_eq(downs, 1);
}
END_TEST

START_TEST(a_replica_is_not_written_to)
{
	static const char *const args[] = { "--replicaof", "127.0.0.1", "1", NULL };

	bare_setup();
	redis_server_start(&server, args);
	open_store();
	wait_for(&downs, 1);
	ck_assert_int_eq(down_err.kind, ERR_TRANSIENT);
	ck_assert_str_eq(down_err.code, "READONLY");
}
END_TEST

static const char *const with_password[] = { "--requirepass", "correct horse", NULL };

static void expect_refused(const char *code)
{
	open_store();
	wait_for(&downs, 1);
	ck_assert_int_eq(down_err.kind, ERR_CONFIG);
	ck_assert_str_eq(down_err.code, code);
	ck_assert_ptr_nonnull(strstr(down_err.text, "password"));
	ck_assert_ptr_null(strstr(down_err.text, "horse"));
	store_free(&store);
}

START_TEST(passwords_are_checked)
{
	bare_setup();
	redis_server_start(&server, with_password);
	expect_refused("NOAUTH");
	topology.state.password = (char *)"wrong horse";
	expect_refused("WRONGPASS");
	topology.state.password = (char *)"correct horse";
	topology.state.database = 3;
	open_and_wait();
	store_free(&store);
	topology.state.user = (char *)"nobody";
	expect_refused("WRONGPASS");
	topology.state.user = (char *)"default";
	open_and_wait();
}
END_TEST

START_TEST(a_password_that_nobody_asks_for_is_refused)
{
	bare_setup();
	redis_server_start(&server, NULL);
	topology.state.password = (char *)"correct horse";
	expect_refused("AUTH");
}
END_TEST

START_TEST(a_database_that_is_not_there_is_refused)
{
	bare_setup();
	redis_server_start(&server, NULL);
	topology.state.database = 99;
	open_store();
	wait_for(&downs, 1);
	ck_assert_int_eq(down_err.kind, ERR_CONFIG);
	ck_assert_str_eq(down_err.code, "SELECT");
}
END_TEST

START_TEST(a_user_without_rights_is_refused_with_the_commands)
{
	free(redis_server_text(&server, "ACL SETUSER crm on >pw ~crmsync:acme:* +@all -hmget"));
	store_free(&store);
	topology.state.user = (char *)"crm";
	topology.state.password = (char *)"pw";
	open_and_wait();
	start_recalling(0, 0, 1);
	wait_answer();
	ck_assert_int_eq(answer_err.kind, ERR_TRANSIENT);
	ck_assert_int_eq(down_err.kind, ERR_CONFIG);
	ck_assert_str_eq(down_err.code, "NOPERM");
	ck_assert_ptr_nonnull(strstr(down_err.text, "hmget"));
}
END_TEST

START_TEST(the_rights_that_are_asked_for_are_enough)
{
	free(redis_server_text(&server, "ACL SETUSER crm on >pw ~crmsync:acme:* -@all +auth +select +info +client +multi +exec +watch +time +eval "
			       "+exists +hget +hset +hsetnx +hmget +hgetall +hdel +hincrby +setrange +getrange +zadd +zscore +zremrangebyrank +scan +unlink"));
	store_free(&store);
	topology.state.user = (char *)"crm";
	topology.state.password = (char *)"pw";
	open_and_wait();
	store->ops->presize(store, 1, 1000, on_done, NULL);
	start_writing(0, 0, 1000, 300);
	start_writing(0, 0, 1000, 100);
	start_recalling(0, 0, 1000);
	store->ops->scan(store, 0, 0, on_page, NULL);
	wait_for(&answers, 5);
	map_all(odd_ids, countof(odd_ids), false);
	look_up(odd_ids, countof(odd_ids), 0);
	ck_assert_int_eq(downs, 0);
}
END_TEST

START_TEST(a_write_without_memory_is_refused_whole)
{
	struct store_position p = { "sales/contact", "17" };
	struct store_put put = { .rid = rid_of_number(1), .blob = { "x", 1 } };
	struct store_write w = { .puts = &put, .n_puts = 1, .positions = &p, .n_positions = 1, .intent_done = "one", .records_added = 1 };

	store->ops->intend(store, "one", "first", 5, on_done, NULL);
	wait_answer();
	free(redis_server_text(&server, "CONFIG SET maxmemory 1"));
	store->ops->write(store, 0, &w, on_done, NULL);
	wait_answer();
	ck_assert_int_eq(answer_err.kind, ERR_TRANSIENT);
	ck_assert_str_eq(answer_err.code, "OOM");
	free(redis_server_text(&server, "CONFIG SET maxmemory 0"));
	wait_for(&ups, 2);
	store->ops->intents(store, on_intents, NULL);
	wait_answer();
	ck_assert_str_eq(got_intents, "one=first;");
	recall(0, 1, 2);
	ck_assert_int_eq(got_blobs[0].len, -1);
	ck_assert_int_eq(store->records[0], 0);
}
END_TEST

START_TEST(a_silent_server_is_given_up_and_its_late_writes_are_not_done)
{
	char *stats;

	start_writing(0, 0, 1, 4);
	wait_answer();
	kill(server.pid, SIGSTOP);
	start_writing(0, 1, 20000, 60);		/* more than the socket takes; some of it will be there when the server wakes */
	wait_for(&downs, 1);
	ck_assert_str_eq(down_err.code, "ETIMEDOUT");
	wait_for(&answers, 2);
	kill(server.pid, SIGCONT);
	wait_for(&ups, 2);
	ck_assert_int_eq(losts, 0);
	recall(0, 0, 2);
	ck_assert_int_eq(got_blobs[0].len, 4);
	ck_assert_int_eq(got_blobs[1].len, -1);
	/* A transaction that was cut off is not done anyway; what else may stand in the old socket is cut off by this. */
	stats = redis_server_text(&server, "INFO commandstats");
	ck_assert_ptr_nonnull(strstr(stats, "cmdstat_client|kill"));
	free(stats);
}
END_TEST

START_TEST(an_idle_connection_is_asked)
{
	free(redis_server_text(&server, "CONFIG RESETSTAT"));
	wait_for_info("commandstats", was_asked);
	ck_assert_int_eq(downs, 0);
}
END_TEST

START_TEST(an_idle_store_notices_that_it_was_emptied)
{
	free(redis_server_text(&server, "FLUSHALL"));
	wait_for(&losts, 1);
	wait_for(&ups, 2);
	ck_assert_int_eq(losts, 1);
}
END_TEST

/* Where localhost has two addresses, the server listens at the second only. */
START_TEST(a_host_name_is_resolved_and_a_dead_address_skipped)
{
	char port[16], *text;

	free(redis_server_text(&server, "CONFIG SET bind 127.0.0.1"));
	snprintf(port, sizeof port, "%d", 20000 + (int)(getpid() % 20000));
	free(redis_server_text(&server, "CONFIG SET port %s", port));
	text = redis_server_text(&server, "PING");
	ck_assert_str_eq(text, "PONG");
	free(text);
	store_free(&store);
	topology.state.unix_path = NULL;
	topology.state.host = (char *)"localhost";
	topology.state.port = (uint16_t)atoi(port);
	open_and_wait();
	store_free(&store);
	topology.state.host = (char *)"127.0.0.1";
	open_and_wait();
	ck_assert_int_eq(downs, 0);
}
END_TEST

START_TEST(a_name_without_address_is_transient)
{
	bare_setup();
	topology.state.unix_path = NULL;
	topology.state.host = (char *)"no such host.invalid";
	topology.state.port = 1;
	open_store();
	wait_for(&downs, 1);
	ck_assert_int_eq(down_err.kind, ERR_TRANSIENT);
}
END_TEST

static const char *babble;

static void on_caller(void *arg, unsigned what)
{
	int fd = accept(*(int *)arg, NULL, NULL);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, babble, strlen(babble)), (ssize_t)strlen(babble));	/* left open: the store has to hang up */
}

static void meet_babbler(const char *says, const char *expected)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct loop_watch *watch;

	snprintf(at.sun_path, sizeof at.sun_path, "%s", server.socket);
	unlink(server.socket);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	ck_assert_int_eq(listen(fd, 5), 0);
	watch = loop_watch_new(loop, fd, on_caller, &fd);
	loop_watch_set(watch, LOOP_READ);
	babble = says;
	open_store();
	wait_for(&downs, 1);
	ck_assert_int_eq(down_err.kind, ERR_TRANSIENT);
	ck_assert_msg(strstr(down_err.text, expected) != NULL, "%s", down_err.text);
	store_free(&store);
	loop_watch_free(&watch);
	close(fd);
}

START_TEST(whatever_a_server_says_is_survived)
{
	bare_setup();
	meet_babbler("HTTP/1.1 400 Bad Request\r\n\r\n", "not the Redis protocol");
	meet_babbler("*99999999\r\n", "not the Redis protocol");
	meet_babbler("*-5\r\n$-7\r\n", "not the Redis protocol");
	meet_babbler("+OK\r\n+OK\r\n+OK\r\n", "form that is not known");
	meet_babbler("*2\r\n*1\r\n:1\r\n$-1\r\n", "form that is not known");
	meet_babbler("-ERR unknown command, with args beginning with: `secret`\r\n", "ERR");
	ck_assert_ptr_null(strstr(down_err.text, "secret"));
	meet_babbler("$20\r\nredis_version:7.0.15\r\n:1\r\n+more\r\n", "");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("redis_store");
	TCase *normal = tcase_create("normal"), *backups = tcase_create("backups"), *bad = tcase_create("bad days");
	SRunner *runner;
	int failed;

	if (!redis_server_here()) {
		fprintf(stderr, "no redis-server on PATH: skipped\n");
		return 77;
	}
	tcase_add_checked_fixture(normal, setup, teardown);
	tcase_add_checked_fixture(backups, setup, teardown);
	tcase_add_checked_fixture(bad, NULL, teardown);
	tcase_set_timeout(normal, 60);
	tcase_set_timeout(backups, 60);
	tcase_set_timeout(bad, 60);
	tcase_add_test(normal, a_fresh_store_has_a_key_a_birth_and_numbers);
	tcase_add_test(normal, numbers_are_kept_when_the_topology_is_reordered);
	tcase_add_test(normal, a_vector_comes_back_as_it_was_written);
	tcase_add_test(normal, a_write_of_who_was_overtaken_does_nothing);
	tcase_add_test(normal, an_intent_of_who_was_overtaken_does_nothing);
	tcase_add_test(normal, who_gave_the_lease_up_leaves_it_free_at_once);
	tcase_add_test(normal, a_higher_fencing_number_is_outranked);
	tcase_add_test(normal, who_was_deleted_is_remembered_until_the_state_is_given_up);
	tcase_add_test(normal, what_was_never_written_is_absent);
	tcase_add_test(normal, a_vector_that_cannot_fit_fails_its_write_alone);
	tcase_add_test(normal, a_vector_that_shrinks_leaves_no_pieces);
	tcase_add_test(normal, pieces_are_remembered_over_a_reconnect);
	tcase_add_test(normal, shrinking_and_growing_at_once_keeps_the_last);
	tcase_add_test(normal, a_big_pipeline_is_answered_whole);
	tcase_add_test(normal, ten_thousand_calls_are_answered_in_order);
	tcase_add_test(normal, all_records_are_found_while_buckets_split);
	tcase_add_test(normal, sizes_are_known_again_after_a_reconnect);
	tcase_add_test(normal, presize_makes_room_once);
	tcase_add_test(normal, records_of_an_empty_entity_are_not_asked_for_until_they_are_written);
	tcase_add_test(normal, that_records_are_new_is_known_without_an_answer_of_redis_as_soon_as_it_is_proven);
	tcase_add_test(normal, what_others_write_into_an_empty_entity_is_seen_after_a_reconnect);
	tcase_add_test(normal, more_records_than_were_expected_are_found_too);
	tcase_add_test(normal, presize_spares_records_that_were_not_counted);
	tcase_add_test(normal, a_split_that_fails_loses_nothing);
	tcase_add_test(normal, buckets_stay_listpacks);
	tcase_add_test(normal, a_scan_sees_every_record_also_while_buckets_split);
	tcase_add_test(normal, an_empty_scan_ends_at_once);
	tcase_add_test(normal, any_id_leads_to_its_record);
	tcase_add_test(normal, long_ids_leave_their_bucket_a_listpack);
	tcase_add_test(normal, an_id_that_is_gone_is_not_found);
	tcase_add_test(normal, puts_and_gones_of_one_id_keep_their_order);
	tcase_add_test(normal, dense_and_loose_pages_agree);
	tcase_add_test(normal, ids_of_an_empty_entity_are_not_asked_for_beyond_those_that_were_written);
	tcase_add_test(normal, ids_that_run_backwards_are_kept_too);
	tcase_add_test(normal, a_dense_page_takes_no_more_room_than_it_needs);
	tcase_add_test(normal, text_ids_move_with_the_splits);
	tcase_add_test(normal, positions_are_kept_and_deleted);
	tcase_add_test(normal, an_intent_lives_until_its_write);
	tcase_add_test(normal, writes_that_wait_for_their_turn_go_together);
	tcase_add_test(normal, freeing_answers_what_is_outstanding);
	tcase_add_test(normal, the_store_may_be_freed_inside_an_answer);
	tcase_add_test(normal, the_store_may_be_freed_inside_down);
	tcase_add_test(normal, an_emptied_state_is_noticed_before_anything_looks_absent);
	tcase_add_test(normal, an_emptied_state_is_noticed_by_a_write_and_keeps_nothing_of_it);
	tcase_add_test(normal, a_replaced_state_is_noticed);
	tcase_add_test(normal, a_restart_without_persistence_is_a_loss);
	tcase_add_test(normal, a_user_without_rights_is_refused_with_the_commands);
	tcase_add_test(normal, the_rights_that_are_asked_for_are_enough);
	tcase_add_test(normal, a_write_without_memory_is_refused_whole);
	tcase_add_test(normal, a_silent_server_is_given_up_and_its_late_writes_are_not_done);
	tcase_add_test(backups, a_tap_is_told_of_writes_in_the_order_in_which_pages_see_them);
	tcase_add_test(backups, names_and_positions_are_told);
	tcase_add_test(backups, a_state_that_is_being_filled_is_believed_by_nobody_until_it_is_full);
	tcase_add_test(backups, who_stood_by_goes_on_in_the_same_breath);
	tcase_add_test(normal, an_idle_connection_is_asked);
	tcase_add_test(normal, an_idle_store_notices_that_it_was_emptied);
	tcase_add_test(normal, a_host_name_is_resolved_and_a_dead_address_skipped);
	tcase_add_test(bad, calls_before_ready_are_answered_later_as_transient);
	tcase_add_test(bad, a_restart_with_an_append_only_file_loses_nothing);
	tcase_add_test(bad, a_server_that_may_evict_is_refused);
	tcase_add_test(bad, a_replica_is_not_written_to);
	tcase_add_test(bad, passwords_are_checked);
	tcase_add_test(bad, a_password_that_nobody_asks_for_is_refused);
	tcase_add_test(bad, a_database_that_is_not_there_is_refused);
	tcase_add_test(bad, a_name_without_address_is_transient);
	tcase_add_test(bad, whatever_a_server_says_is_survived);
	suite_add_tcase(s, normal);
	suite_add_tcase(s, backups);
	suite_add_tcase(s, bad);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
