/* check_images.c - src/journal/journal_images.h on a real file. */
#include <check.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "journal/journal_images.h"

#define OK(call) do { \
		struct err why_ = { 0 }, *why = &why_; \
		ck_assert_msg(call, "%s", why->text); \
	} while (0)

static char base[64];
static struct journal *j;

static struct journal *open_ok(void)
{
	struct err e = { 0 };
	struct journal *opened = journal_open(base, "acme", &e);

	ck_assert_msg(opened != NULL, "%s", e.text);
	return opened;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void setup(void)
{
	snprintf(base, sizeof base, "/tmp/check_images.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(base));
	j = open_ok();
}

static void teardown(void)
{
	journal_close(&j);
	nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct image_text text(const char *s)
{
	return s != NULL ? (struct image_text){ s, (int32_t)strlen(s) } : (struct image_text){ NULL, IMAGE_NULL };
}

static struct journal_image update(const char *key, const char *before, const char *after)
{
	struct journal_image i = { .op = IMAGE_UPDATE, .endpoint = "support", .key = key, .code = text(key), .former = text(NULL), .rule = "" };

	i.values[i.n_values++] = (struct image_value){ "phone", "max", true, text(before), text(after) };
	return i;
}

/* A batch of one image. */
static int64_t keep(struct journal_image *i, int64_t run, int64_t time_us)
{
	struct image_batch b = { 0 };
	int64_t id = 0;

	image_batch_add(&b, j, i);
	OK(journal_images_keep(j, &b, "contact", run, time_us, &id, why));
	image_batch_fini(&b);
	return id;
}

static struct arena seen_arena;
static struct journal_image seen[16];
static size_t n_seen, most_seen;

static bool see(void *arg, const struct journal_image *i)
{
	ck_assert_uint_lt(n_seen, countof(seen));
	seen[n_seen] = *i;
	seen[n_seen].key = arena_dup(&seen_arena, i->key, strlen(i->key));
	for (size_t v = 0; v < i->n_values; v++) {
		struct image_value *to = &seen[n_seen].values[v];

		to->field = arena_dup(&seen_arena, to->field, strlen(to->field));
		if (to->before.len > 0)
			to->before.p = arena_dup(&seen_arena, to->before.p, (size_t)to->before.len);
		if (to->after.len > 0)
			to->after.p = arena_dup(&seen_arena, to->after.p, (size_t)to->after.len);
	}
	return ++n_seen != most_seen;
}

static size_t find(const struct image_filter *f)
{
	int64_t before = 0;

	n_seen = 0;
	do
		OK(journal_images_each(j, f, &before, 2, see, NULL, why));
	while (before != 0);
	return n_seen;
}

START_TEST(an_image_comes_back_as_it_was)
{
	struct journal_image i = update("ann", "+1 \xc3\xa4", NULL);
	int64_t run = journal_run_new(j, "sales", 1000, NULL);
	struct image_filter all = { 0 };

	i.former = text("anna");
	i.values[i.n_values++] = (struct image_value){ "secret", "add", false, { NULL, IMAGE_NOT_KEPT }, { NULL, IMAGE_NOT_KEPT } };
	i.values[i.n_values++] = (struct image_value){ "note", "add", false, text(""), text("x") };
	keep(&i, run, 2000);
	journal_close(&j);
	j = open_ok();
	ck_assert_uint_eq(find(&all), 1);
	ck_assert_int_eq(seen[0].run, run);
	ck_assert_int_eq(seen[0].time_us, 2000);
	ck_assert_str_eq(seen[0].key, "ann");
	ck_assert_uint_eq(seen[0].n_values, 3);
	ck_assert(image_text_equal(seen[0].values[0].before, i.values[0].before));
	ck_assert_int_eq(seen[0].values[0].after.len, IMAGE_NULL);
	ck_assert(seen[0].values[0].agreed && !seen[0].values[2].agreed);
	ck_assert_int_eq(seen[0].values[1].before.len, IMAGE_NOT_KEPT);
	ck_assert_int_eq(seen[0].values[2].before.len, 0);
	ck_assert_str_eq(seen[0].values[2].field, "note");
	ck_assert_int_eq(journal_images_count(j), 1);
	ck_assert_int_gt(journal_images_bytes(j), 0);
}
END_TEST

START_TEST(images_are_found_by_run_source_key_and_time)
{
	int64_t sales = journal_run_new(j, "sales", 0, NULL), billing = journal_run_new(j, "billing", 0, NULL);
	struct journal_image ann = update("ann", "1", "2"), bob = update("bob", "1", "2");

	keep(&ann, sales, 10);
	keep(&bob, sales, 20);
	keep(&ann, billing, 30);
	ck_assert_uint_eq(find(&(struct image_filter){ 0 }), 3);
	ck_assert_int_eq(seen[0].time_us, 30);		/* the newest first */
	ck_assert_uint_eq(find(&(struct image_filter){ .run = sales }), 2);
	ck_assert_uint_eq(find(&(struct image_filter){ .source = "billing" }), 1);
	ck_assert_uint_eq(find(&(struct image_filter){ .key = "ann" }), 2);
	ck_assert_uint_eq(find(&(struct image_filter){ .key = "ann", .entity = "account" }), 0);
	ck_assert_uint_eq(find(&(struct image_filter){ .since_us = 20 }), 2);
	ck_assert_uint_eq(find(&(struct image_filter){ .until_us = 20 }), 2);
}
END_TEST

START_TEST(what_was_refused_is_marked)
{
	int64_t run = journal_run_new(j, "sales", 0, NULL);
	struct journal_image ann = update("ann", "1", "2");
	int64_t batch = keep(&ann, run, 10);

	keep(&ann, run, 20);
	OK(journal_image_failed(j, batch, 0, why));
	find(&(struct image_filter){ 0 });
	ck_assert(!seen[0].failed && seen[1].failed);
}
END_TEST

START_TEST(old_images_go_and_their_runs_with_them)
{
	int64_t run = journal_run_new(j, "sales", 0, NULL), later = journal_run_new(j, "sales", 100, NULL);
	struct journal_image ann = update("ann", "1", "2");
	int64_t batch = keep(&ann, run, 10);

	OK(journal_image_failed(j, batch, 0, why));
	keep(&ann, later, 100);
	ck_assert_int_eq(journal_images_count(j), 2);
	OK(journal_expire(j, 50, why));
	ck_assert_uint_eq(find(&(struct image_filter){ 0 }), 1);
	ck_assert_int_eq(journal_images_count(j), 1);
	OK(journal_expire(j, 150, why));
	ck_assert_uint_eq(find(&(struct image_filter){ 0 }), 0);
	ck_assert_int_gt(journal_run_new(j, "sales", 200, NULL), later);	/* no number is ever given twice */
}
END_TEST

/* A limit on the size of files is the full disk that needs no privileges. */
START_TEST(on_a_full_disk_an_image_is_kept_or_said_not_to_be)
{
	struct rlimit limit, old;
	struct err e = { 0 };
	char *long_value = xcalloc(1, 5000);
	struct journal_image i;
	int64_t kept = 0, run = journal_run_new(j, "sales", 0, NULL), id;
	bool ok = true;

	for (size_t k = 0; k < 4999; k++)	/* such as does not compress */
		long_value[k] = (char)(33 + (k * k * 31 + k * 7 + k / 3) % 90);
	ck_assert_int_eq(journal_images_count(j), 0);
	signal(SIGXFSZ, SIG_IGN);
	ck_assert(getrlimit(RLIMIT_FSIZE, &old) == 0);
	limit = (struct rlimit){ 512 * 1024, old.rlim_max };
	ck_assert(setrlimit(RLIMIT_FSIZE, &limit) == 0);
	for (int k = 0; ok && k < 10000; k++) {
		struct image_batch b = { 0 };

		memcpy(long_value, &k, sizeof k);
		long_value[0] |= 0x40;
		i = update("ann", long_value, "2");
		i.values[0].before.len = 4999;
		image_batch_add(&b, j, &i);
		journal_begin(j);
		ok = journal_images_keep(j, &b, "contact", run, k, &id, NULL);
		ok = journal_commit(j, &e) && ok;
		image_batch_fini(&b);
		kept += ok;
	}
	ck_assert(!ok);
	ck_assert_str_eq(e.code, "SQLITE_FULL");
	ck_assert_ptr_nonnull(journal_trouble(j));
	ck_assert_int_eq(journal_images_count(j), kept);
	ck_assert(setrlimit(RLIMIT_FSIZE, &old) == 0);
	keep(&i, run, 1);
	ck_assert_ptr_null(journal_trouble(j));
	ck_assert_int_eq(journal_images_count(j), kept + 1);
	free(long_value);
}
END_TEST

/* The child tells of each batch after its commit; whatever was told must be there and whole. */
START_TEST(what_was_kept_survives_kill_9)
{
	int told[2], last = -1, number;
	pid_t child;

	journal_close(&j);
	ck_assert(pipe(told) == 0);
	child = fork();
	if (child == 0) {
		struct journal_image ann = update("ann", "1", "2");

		j = journal_open(base, "acme", NULL);
		for (int i = 0; j != NULL; i++) {
			struct image_batch b = { 0 };
			int64_t id;

			image_batch_add(&b, j, &ann);
			image_batch_add(&b, j, &ann);
			if (!journal_images_keep(j, &b, "contact", journal_run_new(j, "sales", i, NULL), i, &id, NULL) ||
			    write(told[1], &i, sizeof i) != sizeof i)
				break;
			image_batch_fini(&b);
		}
		_exit(1);
	}
	close(told[1]);
	while (last < 30 && read(told[0], &number, sizeof number) == sizeof number)
		last = number;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	while (read(told[0], &number, sizeof number) == sizeof number)
		last = number;
	close(told[0]);
	j = open_ok();
	ck_assert_int_ge(journal_images_count(j), 2 * (last + 1));
	ck_assert_int_le(journal_images_count(j), 2 * (last + 2));
	most_seen = 1;
	n_seen = 0;
	OK(journal_images_each(j, &(struct image_filter){ 0 }, &(int64_t){ 0 }, 1, see, NULL, why));
	ck_assert(image_text_equal(seen[0].values[0].before, text("1")));
}
END_TEST

static bool count_items(void *arg, const struct undo_item *item)
{
	size_t *n = arg;

	++*n;
	return true;
}

static size_t items(bool over)
{
	size_t n = 0;

	OK(journal_undo_each(j, 0, over, 0, 0, count_items, &n, why));
	return n;
}

static bool is_undone(const char *entity, const char *key, const char *field)
{
	int64_t run;

	OK(journal_undo_of(j, entity, key, field, &run, why));
	ck_assert(run == 0 || run == 1);
	return run != 0;
}

START_TEST(what_is_to_be_put_back_stays_until_it_is_over)
{
	struct journal_image image = update("ann", "2", "1");
	struct undo_item item = { .run = journal_run_new(j, "(undo)", 10, NULL), .entity = "contact", .key = "ann", .code = text("ann"), .what = UNDO_VALUES, .n_values = 2,
				  .values = { { "phone", text("1"), text("2") }, { "note", { NULL, IMAGE_SEVERAL }, text(NULL) } } }, *back;
	struct arena arena;

	arena_init(&arena);
	OK(journal_undo_add(j, &item, why));
	journal_close(&j);
	j = open_ok();
	OK(journal_undo_get(j, 1, &arena, &back, why));
	ck_assert_ptr_nonnull(back);
	ck_assert_uint_eq(back->n_values, 2);
	ck_assert(image_text_equal(back->values[0].want, text("1")) && image_text_equal(back->values[0].expect, text("2")));
	ck_assert_int_eq(back->values[1].want.len, IMAGE_SEVERAL);
	ck_assert_int_eq(back->values[1].inserted.len, IMAGE_NOT_KEPT);
	ck_assert_int_eq(back->state, UNDO_WAITS);
	ck_assert(!is_undone("contact", "ann", "phone"));
	back->state = UNDO_BEGUN;
	OK(journal_undo_set(j, back, why));
	ck_assert_uint_eq(items(false), 1);
	OK(journal_expire(j, 1000, why));
	ck_assert_uint_eq(keep(&image, item.run, 2000), 1);	/* its run is there still */
	ck_assert(is_undone("contact", "ann", "phone") && is_undone("contact", "ann", "note"));
	back->state = UNDO_PARTLY;
	back->fields = "note";
	OK(journal_undo_set(j, back, why));
	ck_assert(is_undone("contact", "ann", "phone") && is_undone("contact", "ann", "") && !is_undone("contact", "ann", "note"));
	ck_assert(!is_undone("contact", "bob", "phone") && !is_undone("account", "ann", "phone"));
	ck_assert_uint_eq(items(false), 0);
	ck_assert_uint_eq(items(true), 1);
	arena_fini(&arena);
}
END_TEST

START_TEST(a_record_is_found_by_the_key_that_it_had_when_the_undo_was_ordered)
{
	struct undo_item item = { .run = journal_run_new(j, "(undo)", 10, NULL), .entity = "account", .key = "new", .code = text("new"), .what = UNDO_VALUES }, *back;
	struct image_text key = text("new");
	struct arena arena;

	arena_init(&arena);
	OK(journal_undo_add(j, &item, why));
	OK(journal_undo_key(j, item.run, "account", false, &arena, &key, why));
	ck_assert(image_text_equal(key, text("new")));
	for (int i = 0; i < 2; i++) {
		const char *keys[] = { "between", "old" };

		OK(journal_undo_rename(j, &(struct undo_item){ .id = 1, .key = keys[i], .code = text(keys[i]) }, why));
	}
	OK(journal_undo_get(j, 1, &arena, &back, why));
	ck_assert_str_eq(back->key, "old");
	ck_assert(image_text_equal(back->code, text("old")));
	OK(journal_undo_key(j, item.run + 1, "account", false, &arena, &key, why));
	OK(journal_undo_key(j, item.run, "contact", false, &arena, &key, why));
	ck_assert(image_text_equal(key, text("new")));
	OK(journal_undo_key(j, item.run, "account", false, &arena, &key, why));
	ck_assert(image_text_equal(key, text("old")));
	OK(journal_undo_key(j, item.run, "account", true, &arena, &key, why));
	ck_assert(image_text_equal(key, text("new")));
	arena_fini(&arena);
}
END_TEST

START_TEST(what_a_record_was_inserted_anew_with_is_kept)
{
	struct undo_item item = { .run = journal_run_new(j, "(undo)", 10, NULL), .entity = "contact", .key = "ann", .code = text("ann"), .what = UNDO_AGAIN, .print = 7,
				  .n_values = 1, .values = { { "phone", text("1"), text("3"), text("2") } } }, *back;
	struct arena arena;

	arena_init(&arena);
	OK(journal_undo_add(j, &item, why));
	OK(journal_undo_get(j, 1, &arena, &back, why));
	ck_assert(image_text_equal(back->values[0].want, text("1")) && image_text_equal(back->values[0].expect, text("3")));
	ck_assert(image_text_equal(back->values[0].inserted, text("2")));
	arena_fini(&arena);
}
END_TEST

START_TEST(a_run_is_known_or_not)
{
	int64_t run = journal_run_new(j, "sales", 10, NULL);
	bool known;

	OK(journal_run_is_known(j, run, &known, why));
	ck_assert(known);
	OK(journal_run_is_known(j, run + 1, &known, why));
	ck_assert(!known);
	OK(journal_source_is_known(j, "sales", &known, why));
	ck_assert(known);
	OK(journal_source_is_known(j, "support", &known, why));
	ck_assert(!known);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("images");
	TCase *t = tcase_create("images");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, an_image_comes_back_as_it_was);
	tcase_add_test(t, images_are_found_by_run_source_key_and_time);
	tcase_add_test(t, what_was_refused_is_marked);
	tcase_add_test(t, old_images_go_and_their_runs_with_them);
	tcase_add_test(t, on_a_full_disk_an_image_is_kept_or_said_not_to_be);
	tcase_add_test(t, what_was_kept_survives_kill_9);
	tcase_add_test(t, what_is_to_be_put_back_stays_until_it_is_over);
	tcase_add_test(t, a_record_is_found_by_the_key_that_it_had_when_the_undo_was_ordered);
	tcase_add_test(t, what_a_record_was_inserted_anew_with_is_kept);
	tcase_add_test(t, a_run_is_known_or_not);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed > 0;
}
