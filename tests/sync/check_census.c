#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "sync/census.h"

static char path[] = "/tmp/check_census.XXXXXX";

static void setup(void)
{
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

static void teardown(void)
{
	ck_assert_int_eq(unlink(path), 0);
	strcpy(path, "/tmp/check_census.XXXXXX");
}

/* As digests are: every byte of it counts. */
static struct rid rid_at(uint64_t i)
{
	uint64_t a = i * UINT64_C(0x9e3779b97f4a7c15);
	struct rid rid;

	memcpy(rid.b, &a, 8);
	memcpy(rid.b + 8, &i, 2);
	return rid;
}

static void add(struct census *c, uint64_t i, uint8_t side, uint64_t digest, const char *id)
{
	struct census_entry entry = { .rid = rid_at(i), .side = side, .digest = digest, .outside = i % 7 == 0,
				      .id = { id, (int32_t)strlen(id) } };
	struct err e = { 0 };

	ck_assert_msg(census_add(c, &entry, &e), "%s", e.text);
}

START_TEST(every_entry_comes_back_once_beside_those_of_its_record)
{
	enum { N = 40000 };
	struct err e = { 0 };
	struct census *c = census_new(path, &e);
	size_t seen = 0;

	ck_assert_ptr_nonnull(c);
	for (uint64_t side = 0; side < 2; side++)
		for (uint64_t i = 0; i < N; i++) {
			char id[40];

			snprintf(id, sizeof id, "%d/%llu", (int)side, (unsigned long long)i);
			add(c, i, (uint8_t)side, i * 3 + side, id);
		}
	for (size_t part = 0; part < CENSUS_PARTS; part++) {
		struct census_entry *list;
		struct arena arena;
		size_t n;

		arena_init(&arena);
		ck_assert(census_part(c, part, &arena, &list, &n, &e));
		ck_assert_uint_eq(n % 2, 0);
		for (size_t k = 0; k < n; k += 2) {
			char *id = arena_dup(&arena, list[k].id.data, (size_t)list[k].id.len);
			unsigned long long i = strtoull(id + 2, NULL, 10);
			struct rid rid = rid_at(i);

			ck_assert(rid_equal(&list[k].rid, &rid) && rid_equal(&list[k + 1].rid, &rid));
			ck_assert_uint_eq(list[k].rid.b[0], part);
			ck_assert_uint_eq(list[k].side, 0);
			ck_assert_uint_eq(list[k + 1].side, 1);
			ck_assert_uint_eq(list[k].digest, i * 3);
			ck_assert_uint_eq(list[k + 1].digest, i * 3 + 1);
			ck_assert_int_eq(list[k].outside, i % 7 == 0);
			ck_assert_mem_eq(list[k + 1].id.data, "1/", 2);
			seen++;
		}
		arena_fini(&arena);
	}
	ck_assert_uint_eq(seen, N);
	census_free(&c);
	ck_assert_ptr_null(c);
}
END_TEST

static size_t entries_of(struct census *c)
{
	struct census_entry *list;
	struct err e = { 0 };
	size_t n, all = 0;

	for (size_t part = 0; part < CENSUS_PARTS; part++) {
		struct arena arena;

		arena_init(&arena);
		ck_assert_msg(census_part(c, part, &arena, &list, &n, &e), "%s", e.text);
		for (size_t i = 0; i < n; i++)
			ck_assert_int_eq(list[i].id.len, 20);
		all += n;
		arena_fini(&arena);
	}
	return all;
}

START_TEST(what_was_saved_is_there_again_and_nothing_that_came_later)
{
	struct err e = { 0 };
	struct census *c = census_new(path, &e);
	struct buf saved = { 0 };
	const unsigned char *p;

	for (uint64_t i = 0; i < 120000; i++) {
		if (i == 40000 || i == 50000) {		/* the later one counts */
			buf_clear(&saved);
			ck_assert(census_save(c, &saved, &e));
		}
		add(c, i, 0, i, "twenty bytes of an i");
	}
	census_free(&c);			/* as by a kill: what was not written is gone */
	p = (const unsigned char *)saved.p;
	c = census_reopen(path, &p, p + saved.len, &e);
	ck_assert_msg(c != NULL, "%s", e.text);
	ck_assert_ptr_eq(p, (const unsigned char *)saved.p + saved.len);
	ck_assert_uint_eq(entries_of(c), 50000);
	for (uint64_t i = 0; i < 30000; i++)
		add(c, 200000 + i, 1, i, "twenty bytes of an i");
	ck_assert_uint_eq(entries_of(c), 80000);
	census_free(&c);
	p = (const unsigned char *)saved.p;
	ck_assert_ptr_null(census_reopen(path, &p, p + saved.len - 1, &e));
	ck_assert_int_eq(truncate(path, 8192), 0);
	p = (const unsigned char *)saved.p;
	ck_assert_ptr_null(census_reopen(path, &p, p + saved.len, &e));
	ck_assert_str_eq(e.code, "bad-census");
	buf_fini(&saved);
}
END_TEST

START_TEST(a_local_id_that_fills_a_block_is_kept_and_a_longer_one_refused)
{
	struct err e = { 0 };
	struct census *c = census_new(path, &e);
	struct census_entry entry = { .rid = rid_at(1) }, *list;
	struct arena arena;
	char *id = calloc(1, 10001);
	size_t n;

	memset(id, 'x', 10000);
	add(c, 1, 0, 5, "short");
	entry.id = (struct value){ id, 8168 };
	ck_assert(census_add(c, &entry, &e));
	entry.id.len = 8169;
	ck_assert(!census_add(c, &entry, &e));
	ck_assert_str_eq(e.code, "id-too-long");
	arena_init(&arena);
	ck_assert(census_part(c, entry.rid.b[0], &arena, &list, &n, &e));
	ck_assert_uint_eq(n, 2);
	ck_assert_int_eq(list[0].id.len + list[1].id.len, 5 + 8168);
	arena_fini(&arena);
	census_free(&c);
	free(id);
}
END_TEST

START_TEST(a_directory_that_is_not_there_is_an_error_with_words)
{
	struct err e = { 0 };

	ck_assert_ptr_null(census_new("/nowhere/at/all", &e));
	ck_assert_ptr_nonnull(strstr(e.text, "journal.directory"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("census");
	TCase *t = tcase_create("census");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, every_entry_comes_back_once_beside_those_of_its_record);
	tcase_add_test(t, a_local_id_that_fills_a_block_is_kept_and_a_longer_one_refused);
	tcase_add_test(t, what_was_saved_is_there_again_and_nothing_that_came_later);
	tcase_add_test(t, a_directory_that_is_not_there_is_an_error_with_words);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
