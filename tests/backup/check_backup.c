/* check_backup.c - the form of a backup (src/backup/, src/base/seal.h), and what of a restored vector still holds (src/sync/restore.h). */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backup/backup.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/seal.h"
#include "model/vector.h"
#include "sync/restore.h"

static char path[64];
static int fd;
static struct buf file;

/* In memory: thousands of damaged files are written. */
static void setup(void)
{
	fd = memfd_create("backup", MFD_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	memset(&file, 0, sizeof file);
}

static void teardown(void)
{
	close(fd);
	buf_fini(&file);
}

static void put(const void *p, size_t n)
{
	ck_assert_int_eq(ftruncate(fd, 0), 0);
	ck_assert_int_eq(pwrite(fd, p, n, 0), (ssize_t)n);
}

static const char head[] = "made 2026-03-01T12:00:00.000000Z\n\ntopology acme\nendpoint sales postgres\n";

static void small_backup(void)
{
	struct backup_writer *w = backup_writer_new(head, &file);

	backup_write(w, BACKUP_ENTITY, "contact", 7, NULL, 0, &file);
	backup_write(w, BACKUP_RECORD, "\0" "0123456789", 11, "vector", 6, &file);
	backup_write(w, BACKUP_JOURNAL, "SQLite", 6, NULL, 0, &file);
	backup_write_end(w, &(struct backup_sums){ 1, 6 }, &file);
	backup_writer_free(&w);
	put(file.p, file.len);
}

static void must_refuse(const char *what, size_t where)
{
	struct err e = { 0 };
	struct backup_reader *r = backup_open(path, &e);

	if (r != NULL || e.kind != ERR_CONFIG || strcmp(e.code, "damaged") != 0 || strstr(e.text, path) == NULL)
		ck_abort_msg("%s at %zu: %s", what, where, r != NULL ? "taken" : e.text);
}

/* ---- the form ------------------------------------------------------------------------------------------ */

static void next_is(struct backup_reader *r, enum backup_kind kind, const void *p, size_t n)
{
	struct backup_item item;
	struct err e = { 0 };

	ck_assert_msg(backup_next(r, &item, &e), "%s", e.text);
	ck_assert_int_eq(item.kind, kind);
	ck_assert_uint_eq(item.n, n);
	ck_assert_int_eq(memcmp(item.p, p, n), 0);
}

START_TEST(a_backup_is_read_as_it_was_written)
{
	struct backup_item item;
	struct backup_sums sums;
	struct err e = { 0 };
	struct backup_reader *r;

	small_backup();
	r = backup_open(path, &e);
	ck_assert_msg(r != NULL, "%s", e.text);
	ck_assert_str_eq(backup_head(r), head);
	backup_sums(r, &sums);
	ck_assert_uint_eq(sums.records, 1);
	ck_assert_uint_eq(sums.journal_bytes, 6);
	for (int turn = 0; turn < 2; turn++) {
		next_is(r, BACKUP_ENTITY, "contact", 7);
		next_is(r, BACKUP_RECORD, "\0" "0123456789" "vector", 17);
		next_is(r, BACKUP_JOURNAL, "SQLite", 6);
		next_is(r, BACKUP_END, "\0\0\0\0\0\0\0\3", 8);
		ck_assert(!backup_next(r, &item, &e));
		ck_assert(backup_rewind(r, &e));
	}
	backup_close(&r);
}
END_TEST

START_TEST(a_large_one_goes_through_small_windows)
{
	struct backup_writer *w = backup_writer_new(head, &file);
	struct backup_reader *r;
	struct err e = { 0 };
	unsigned char bytes[5000];
	uint32_t seed = 7;

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)((seed = seed * 1664525 + 1013904223) >> 24);
	for (size_t i = 0; i < 2000; i++)
		backup_write(w, BACKUP_JOURNAL, bytes, i % sizeof bytes, bytes, (7 * i) % sizeof bytes, &file);
	backup_write_end(w, &(struct backup_sums){ 0 }, &file);
	backup_writer_free(&w);
	put(file.p, file.len);
	r = backup_open(path, &e);
	ck_assert_msg(r != NULL, "%s", e.text);
	for (size_t i = 0; i < 2000; i++) {
		struct backup_item item;
		size_t n = i % sizeof bytes;

		if (!backup_next(r, &item, &e) || item.n != n + (7 * i) % sizeof bytes || memcmp(item.p, bytes, n) != 0 ||
		    memcmp((const char *)item.p + n, bytes, item.n - n) != 0)
			ck_abort_msg("item %zu: %s", i, e.text);
	}
	backup_close(&r);
}
END_TEST

START_TEST(cut_off_at_any_length_it_is_refused)
{
	small_backup();
	for (size_t n = 0; n < file.len; n++) {
		put(file.p, n);
		must_refuse("cut off", n);
	}
}
END_TEST

START_TEST(with_any_byte_changed_it_is_refused)
{
	small_backup();
	for (size_t i = 0; i < file.len; i++)
		for (int bit = 0; bit < 8; bit++) {
			file.p[i] ^= (char)(1 << bit);
			put(file.p, file.len);
			must_refuse("changed", i);
			file.p[i] ^= (char)(1 << bit);
		}
}
END_TEST

START_TEST(with_something_behind_it_is_refused)
{
	small_backup();
	buf_addc(&file, '\n');
	put(file.p, file.len);
	must_refuse("longer", file.len);
}
END_TEST

START_TEST(one_that_was_broken_off_says_why)
{
	struct err e = { 0 };

	for (size_t left = 0; left <= 64; left += 16) {
		buf_clear(&file);
		small_backup();
		file.len = left;
		backup_write_broken("no space left", &file);
		put(file.p, file.len);
		ck_assert_ptr_null(backup_open(path, &e));
		ck_assert_str_eq(e.code, "broken-off");
		ck_assert_msg(strstr(e.text, " was broken off: no space left") != NULL, "%s", e.text);
	}
	backup_write_broken("", &file);
	buf_put_be32(&file, file.len - 12, UINT32_MAX);
	put(file.p, file.len);
	must_refuse("of a reason that is longer than the file", file.len);
}
END_TEST

/* The same body with a seal that fits it. */
static void seal_again(struct buf *body)
{
	const uint64_t numbers[SEAL_NUMBERS] = { 0 };
	struct seal *s = seal_new();

	seal_add(s, body->p, body->len);
	seal_close(s, numbers, body);
	seal_free(&s);
	put(body->p, body->len);
}

START_TEST(one_that_is_whole_and_makes_no_sense_is_never_more_than_refused)
{
	small_backup();
	for (size_t i = 0; i < file.len - SEAL_BYTES; i++)
		for (int bit = 0; bit < 8; bit++) {
			struct backup_item item = { .kind = BACKUP_KEY };
			struct buf body = { 0 };
			struct err e = { 0 };
			struct backup_reader *r;

			buf_add(&body, file.p, file.len - SEAL_BYTES);
			body.p[i] ^= (char)(1 << bit);
			seal_again(&body);
			r = backup_open(path, &e);
			while (r != NULL && item.kind != BACKUP_END && backup_next(r, &item, &e))
				;
			ck_assert(item.kind == BACKUP_END || e.kind == ERR_CONFIG);
			backup_close(&r);
			buf_fini(&body);
		}
}
END_TEST

START_TEST(one_of_a_newer_version_says_so)
{
	struct buf body = { 0 };
	struct err e = { 0 };

	small_backup();
	buf_add(&body, file.p, file.len - SEAL_BYTES);
	buf_put_be32(&body, 8, 2);
	seal_again(&body);
	ck_assert_ptr_null(backup_open(path, &e));
	ck_assert_str_eq(e.code, "newer");
	buf_fini(&body);
}
END_TEST

START_TEST(the_first_line_that_differs_is_told_but_not_when_it_was_made)
{
	char was[40], is[40];

	ck_assert(!backup_heads_differ("made x\n\na\nb\n", "made y\n\na\nb\n", was, is, sizeof was));
	ck_assert(backup_heads_differ("made x\n\na\nb\nd\n", "\n\na\nc\nd\n", was, is, sizeof was));
	ck_assert_str_eq(was, "b");
	ck_assert_str_eq(is, "c");
	ck_assert(backup_heads_differ("\n\na\n", "\n\na\nb\n", was, is, sizeof was));
	ck_assert_str_eq(was, "");
}
END_TEST

/* ---- what of a vector holds later ---------------------------------------------------------------------- */

enum { FIELDS = 2, ENDS = 3 };

static const struct vector_layout layout = {
	.n_fields = FIELDS, .n_endpoints = ENDS, .field_number = { 0, 1 }, .endpoint_number = { 0, 1, 2 }, .fields_stored = FIELDS,
};
static struct arena arena;

static struct vector *agreed(void)
{
	struct vector *v;

	arena_init(&arena);
	v = vector_new(&arena, FIELDS, ENDS);
	v->generation = 1;
	for (size_t f = 0; f < FIELDS; f++)
		v->fields[f] = (struct vfield){ (uint32_t)(f + 5), { 1700000000000000 + (int64_t)f, 1, 0 } };
	for (size_t e = 0; e < ENDS; e++)
		v->seen[e] = (struct vseen){ .known = true, .present = true, .same = true, .id = value_of("17") };
	return v;
}

/* NULL: nothing of it holds. */
static struct vector *restored(const struct vector *v)
{
	struct buf before = { 0 }, after = { 0 };
	struct vector *out = NULL;
	char *copy;

	vector_encode(v, &layout, &before);
	if (restore_vector(&layout, (struct value){ before.p, (int32_t)before.len }, &arena, &after)) {
		copy = arena_dup(&arena, after.p, after.len);
		ck_assert(vector_decode(copy, after.len, &layout, &arena, &out, NULL));
	}
	buf_fini(&before);
	buf_fini(&after);
	return out;
}

START_TEST(what_was_agreed_and_shown_stays_the_base)
{
	struct vector *v = restored(agreed());

	for (size_t f = 0; f < FIELDS; f++)
		ck_assert_uint_eq(v->fields[f].digest, f + 5);
	for (size_t e = 0; e < ENDS; e++)
		ck_assert(v->seen[e].present && v->seen[e].same && value_equal(v->seen[e].id, value_of("17")));
	arena_fini(&arena);
}
END_TEST

START_TEST(a_delete_that_was_owed_is_not_carried_out)
{
	struct vector *v = agreed();

	v->dead = true;
	v->deleted = (struct edit_key){ 1700000000000009, 1, 1 };
	v->seen[0] = (struct vseen){ .known = true };
	v->seen[1].owed = true;
	ck_assert_ptr_null(restored(v));
	arena_fini(&arena);
}
END_TEST

START_TEST(whoever_had_no_row_may_have_one_by_now)
{
	struct vector *v = agreed();

	v->seen[0] = (struct vseen){ .known = true, .owed = true };
	v->seen[1] = (struct vseen){ .known = true, .detached = true };
	v = restored(v);
	ck_assert(!v->seen[0].known && v->seen[0].owed);
	ck_assert_msg(v->seen[1].known && v->seen[1].detached, "one that left the mapping's `where` is not brought back");
	arena_fini(&arena);
}
END_TEST

START_TEST(a_delete_in_doubt_is_forgotten)
{
	struct vector *v = agreed();

	v->seen[2].uncertain = true;
	v->seen[2].same = false;
	v->seen[2].row = 9;
	v = restored(v);
	ck_assert(!v->seen[2].known && !v->seen[2].present);
	ck_assert(v->seen[0].present);
	arena_fini(&arena);
}
END_TEST

START_TEST(amounts_are_forgotten_so_that_nothing_is_added_twice)
{
	struct vector *v = agreed();
	struct vamount amount = { 1, 6, { "10", 2 } };

	v->amounts = &amount;
	v->n_amounts = 1;
	ck_assert_ptr_nonnull(vector_amount(v, 1, 6));
	ck_assert_ptr_null(vector_amount(restored(v), 1, 6));
	arena_fini(&arena);
}
END_TEST

START_TEST(nobody_shows_it_and_nothing_of_it_holds)
{
	struct vector *v = agreed();

	for (size_t e = 0; e < ENDS; e++)
		v->seen[e] = (struct vseen){ .known = e == 0, .owed = true };
	ck_assert_ptr_null(restored(v));
	arena_fini(&arena);
}
END_TEST

START_TEST(positions_that_say_how_far_somebody_had_read_are_left_out)
{
	ck_assert(restore_keeps_position(value_of("epoch/sales")));
	ck_assert(restore_keeps_position(value_of("members/contact")));
	ck_assert(!restore_keeps_position(value_of("survey/contact/sales")));
	ck_assert(!restore_keeps_position(value_of("poll/contact/sales")));
	ck_assert(!restore_keeps_position(value_of("restored/sales")));
	ck_assert_int_eq(restore_mark_read(value_of("1700000000000000")), 1700000000000000);
	ck_assert_int_eq(restore_mark_read(VALUE_NULL), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("backup");
	TCase *t = tcase_create("form"), *v = tcase_create("vectors");
	SRunner *sr;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_backup_is_read_as_it_was_written);
	tcase_add_test(t, a_large_one_goes_through_small_windows);
	tcase_add_test(t, cut_off_at_any_length_it_is_refused);
	tcase_add_test(t, with_any_byte_changed_it_is_refused);
	tcase_add_test(t, with_something_behind_it_is_refused);
	tcase_add_test(t, one_that_was_broken_off_says_why);
	tcase_add_test(t, one_that_is_whole_and_makes_no_sense_is_never_more_than_refused);
	tcase_add_test(t, one_of_a_newer_version_says_so);
	tcase_add_test(t, the_first_line_that_differs_is_told_but_not_when_it_was_made);
	suite_add_tcase(s, t);
	tcase_add_test(v, what_was_agreed_and_shown_stays_the_base);
	tcase_add_test(v, a_delete_that_was_owed_is_not_carried_out);
	tcase_add_test(v, whoever_had_no_row_may_have_one_by_now);
	tcase_add_test(v, a_delete_in_doubt_is_forgotten);
	tcase_add_test(v, amounts_are_forgotten_so_that_nothing_is_added_twice);
	tcase_add_test(v, nobody_shows_it_and_nothing_of_it_holds);
	tcase_add_test(v, positions_that_say_how_far_somebody_had_read_are_left_out);
	suite_add_tcase(s, v);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_ENV);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
