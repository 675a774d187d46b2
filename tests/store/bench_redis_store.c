/*
 * bench_redis_store - what a record costs: time of client and server, memory of the server.
 *
 *	bench_redis_store [RECORDS [VECTOR-BYTES [BATCH [presize]]]]
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/mem.h"
#include "loop/loop.h"
#include "redis_server.h"
#include "store/store.h"

enum { ENDPOINTS = 2, IN_FLIGHT = 2 };

static struct loop *loop;
static struct store *store;
static struct redis_server server;
static long records = 1000000, vector_bytes = 62, batch = 5000, sent, found;
static int in_flight;

static void stop_if_idle(const struct err *e)
{
	if (e != NULL) {
		fprintf(stderr, "%s\n", e->text);
		exit(2);
	}
	if (--in_flight == 0)
		loop_stop(loop);
}

static void on_up(void *arg)
{
	loop_stop(loop);
}

static void on_down(void *arg, const struct err *e)
{
	fprintf(stderr, "down: %s\n", e->text);
	exit(2);
}

static void rid_make(struct rid *rid, long i)
{
	uint64_t a = (uint64_t)(i + 1) * UINT64_C(0x9e3779b97f4a7c15);

	a ^= a >> 31;
	a *= UINT64_C(0xbf58476d1ce4e5b9);
	memcpy(rid->b, &a, 8);
	memcpy(rid->b + 8, &i, 2);
}

static long next_batch(struct rid *rids)
{
	long n = records - sent < batch ? records - sent : batch;

	for (long i = 0; i < n; i++)
		rid_make(&rids[i], sent + i);
	return n;
}

static void recall_more(void);

static void on_recalled(void *arg, const struct value *blobs, size_t n, const struct err *e)
{
	for (size_t i = 0; i < n; i++)
		found += blobs[i].len >= 0;
	recall_more();
	stop_if_idle(e);
}

static void recall_more(void)
{
	struct rid *rids = xcalloc((size_t)batch, sizeof *rids);
	long n = next_batch(rids);

	if (n > 0) {
		in_flight++;
		sent += n;
		store->ops->recall(store, 0, rids, (size_t)n, on_recalled, NULL);
	}
	free(rids);
}

static void lookup_more(void);

static void on_looked(void *arg, const struct rid *rids, const bool *there, size_t n, const struct err *e)
{
	for (size_t i = 0; i < n; i++)
		found += there[i];
	lookup_more();
	stop_if_idle(e);
}

static void lookup_more(void)
{
	struct value *ids = xcalloc((size_t)batch, sizeof *ids);
	char (*texts)[16] = xcalloc((size_t)batch, sizeof *texts);
	long n = records - sent < batch ? records - sent : batch;

	for (long i = 0; i < n; i++)
		ids[i] = (struct value){ texts[i], snprintf(texts[i], sizeof texts[i], "%ld", sent + i + 1) };
	if (n > 0) {
		in_flight++;
		sent += n;
		store->ops->lookup(store, 0, 0, ids, (size_t)n, on_looked, NULL);
	}
	free(ids);
	free(texts);
}

static void write_more(void);

static void on_written(void *arg, const struct err *e)
{
	write_more();
	stop_if_idle(e);
}

static void write_more(void)
{
	struct rid *rids = xcalloc((size_t)batch, sizeof *rids);
	struct store_put *puts = xcalloc((size_t)batch, sizeof *puts);
	struct store_map_put *maps = xcalloc((size_t)batch * ENDPOINTS, sizeof *maps);
	char (*texts)[16] = xcalloc((size_t)batch, sizeof *texts);
	char *blob = xcalloc(1, (size_t)vector_bytes);
	long n = next_batch(rids);
	struct store_write w = { .puts = puts, .n_puts = (size_t)n, .maps = maps, .n_maps = (size_t)n * ENDPOINTS, .records_added = n };

	memset(blob, 0xa5, (size_t)vector_bytes);
	for (long i = 0; i < n; i++) {
		struct value id = { texts[i], snprintf(texts[i], sizeof texts[i], "%ld", sent + i + 1) };

		puts[i] = (struct store_put){ .rid = rids[i], .blob = { blob, (int32_t)vector_bytes } };
		for (uint8_t k = 0; k < ENDPOINTS; k++)
			maps[i * ENDPOINTS + k] = (struct store_map_put){ .endpoint = k, .id = id, .rid = rids[i] };
	}
	if (n > 0) {
		in_flight++;
		sent += n;
		store->ops->write(store, 0, &w, on_written, NULL);
	}
	free(rids);
	free(puts);
	free(maps);
	free(texts);
	free(blob);
}

static void on_sized(void *arg, const struct err *e)
{
	stop_if_idle(e);
}

static double client_cpu(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_utime.tv_sec + (double)u.ru_stime.tv_sec + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double info_number(const char *section, const char *name)
{
	char *info = redis_server_text(&server, "INFO %s", section), *at = strstr(info, name);
	double v = at != NULL ? atof(at + strlen(name)) : 0;

	free(info);
	return v;
}

static double server_cpu(void)
{
	return info_number("cpu", "used_cpu_user:") + info_number("cpu", "used_cpu_sys:");
}

static void measure(const char *what, void (*more)(void))
{
	struct timespec t0, t1;
	double c = client_cpu(), s = server_cpu(), wall;

	sent = found = 0;
	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (int i = 0; i < IN_FLIGHT; i++)
		more();
	loop_run(loop);
	clock_gettime(CLOCK_MONOTONIC, &t1);
	wall = (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9;
	printf("%-16s %8.3f us client  %8.3f us server  %8.3f us elapsed   found %ld\n", what, (client_cpu() - c) / (double)records * 1e6,
	       (server_cpu() - s) / (double)records * 1e6, wall / (double)records * 1e6, found);
}

int main(int argc, char **argv)
{
	char number[] = "number", one[] = "a", two[] = "b", contact[] = "contact", name[] = "bench";
	struct field_def field = { .name = number };
	struct endpoint_conf endpoints[ENDPOINTS] = { { .name = one }, { .name = two, .index = 1 } };
	struct entity_conf entity = { .def = { .name = contact, .fields = &field, .n_fields = 1 } };
	struct topology t = { .name = name, .endpoints = endpoints, .n_endpoints = ENDPOINTS, .entities = &entity, .n_entities = 1 };
	struct store_events events = { .up = on_up, .down = on_down };
	double before;

	records = argc > 1 ? atol(argv[1]) : records;
	vector_bytes = argc > 2 ? atol(argv[2]) : vector_bytes;
	batch = argc > 3 ? atol(argv[3]) : batch;
	signal(SIGPIPE, SIG_IGN);
	redis_server_make(&server);
	redis_server_start(&server, NULL);
	t.state.unix_path = server.socket;
	loop = loop_new();
	store = redis_store_new(loop, &t, &events);
	loop_run(loop);
	before = info_number("memory", "used_memory:");
	if (argc > 4) {
		in_flight++;
		store->ops->presize(store, 0, records, on_sized, NULL);
		loop_run(loop);
	}
	measure("recall absent", recall_more);
	measure("write", write_more);
	measure("recall present", recall_more);
	measure("lookup", lookup_more);
	printf("%.1f bytes a record in Redis, %.0f keys\n", (info_number("memory", "used_memory:") - before) / (double)records,
	       (double)redis_server_do(&server, "DBSIZE"));
	store_free(&store);
	loop_free(&loop);
	redis_server_remove(&server);
	return 0;
}
