/* check_fold.c - src/sync/undo_fold.c: many images of a record make one item. The newest comes first. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "sync/undo.h"

static struct field_def fields[] = {
	{ .name = (char[]){ "mail" }, .is_key = true, .group = -1 }, { .name = (char[]){ "phone" }, .group = -1 }, { .name = (char[]){ "name" }, .group = -1 },
};
static struct entity_def contact = { .fields = fields, .n_fields = 3, .key = { 0 }, .n_key = 1 };
static struct arena arena;
static struct fold *fold;
static struct undo_item items[8];
static size_t n_items;

/* Of phone and name; -1: each is alone. */
static void set_group(int group)
{
	fields[1].group = fields[2].group = group;
	contact.n_groups = (size_t)(group + 1);
}

static void setup(void)
{
	set_group(-1);
	arena_init(&arena);
	fold = fold_new(&arena);
	n_items = 0;
}

static void teardown(void)
{
	fold_free(&fold);
	arena_fini(&arena);
}

static struct image_text text(const char *s)
{
	return s != NULL ? (struct image_text){ s, (int32_t)strlen(s) } : (struct image_text){ NULL, IMAGE_NULL };
}

static struct journal_image image(enum image_op op, const char *key, const char *endpoint)
{
	return (struct journal_image){ .op = op, .entity = "contact", .key = key, .code = text(key), .former = text(NULL), .endpoint = endpoint, .rule = "" };
}

static void wrote(const char *key, const char *endpoint, const char *before, const char *after, bool agreed)
{
	struct journal_image i = image(IMAGE_UPDATE, key, endpoint);

	i.values[i.n_values++] = (struct image_value){ "phone", "max", agreed, text(before), text(after) };
	fold_add(fold, &i, &contact, NULL);
}

static void take(void *arg, const struct undo_item *item)
{
	ck_assert_uint_lt(n_items, sizeof items / sizeof items[0]);
	items[n_items++] = *item;
}

static const struct undo_item *only_item(void)
{
	n_items = 0;
	fold_each(fold, take, NULL);
	ck_assert_uint_eq(n_items, 1);
	return &items[0];
}

static void comes_to(const char *want, const char *expect)
{
	const struct undo_item *item = only_item();

	ck_assert_int_eq(item->what, UNDO_VALUES);
	ck_assert_uint_eq(item->n_values, 1);
	ck_assert_msg(image_text_equal(item->values[0].want, text(want)), "wants %.*s", (int)item->values[0].want.len, item->values[0].want.p);
	ck_assert(image_text_equal(item->values[0].expect, text(expect)));
}

START_TEST(writes_that_went_on_from_each_other_go_back_to_the_first)
{
	wrote("ann", "b", "3", "4", true);
	wrote("ann", "c", "3", "4", true);
	wrote("ann", "a", "2", "3", true);
	wrote("ann", "c", "2", "3", true);
	wrote("ann", "b", "1", "2", true);
	comes_to("1", "4");
}
END_TEST

START_TEST(there_and_back_again)
{
	wrote("ann", "b", "1", "2", true);
	wrote("ann", "b", "2", "1", true);
	wrote("ann", "b", "1", "2", true);
	comes_to("1", "2");
}
END_TEST

START_TEST(what_somebody_wrote_in_between_is_not_gone_behind)
{
	wrote("ann", "b", "mine", "4", true);
	wrote("ann", "b", "1", "2", true);
	comes_to("mine", "4");
}
END_TEST

START_TEST(a_write_that_was_tried_twice_is_one_step)
{
	wrote("ann", "b", "2", "3", true);
	wrote("ann", "b", "2", "3", true);
	wrote("ann", "b", "1", "2", true);
	comes_to("1", "3");
}
END_TEST

START_TEST(of_several_values_before_the_agreed_one_counts)
{
	wrote("ann", "b", "own form", "2", false);
	wrote("ann", "c", "1", "2", true);
	comes_to("1", "2");
}
END_TEST

START_TEST(of_several_values_before_none_counts_where_none_was_agreed)
{
	wrote("ann", "b", "1", "2", false);
	wrote("ann", "c", "one", "2", false);
	ck_assert_int_eq(only_item()->values[0].want.len, IMAGE_SEVERAL);
}
END_TEST

static void refused(const char *endpoint, const char *before, const char *after)
{
	struct journal_image i = image(IMAGE_UPDATE, "ann", endpoint);

	i.failed = true;
	i.values[i.n_values++] = (struct image_value){ "phone", "max", true, text(before), text(after) };
	fold_add(fold, &i, &contact, NULL);
}

/* It is what is agreed, and shown where it was made. */
START_TEST(what_was_refused_goes_back_like_what_was_written)
{
	refused("b", "1", "2");
	refused("b", "1", "2");
	comes_to("1", "2");
	wrote("ann", "c", "1", "2", true);
	comes_to("1", "2");
}
END_TEST

START_TEST(what_was_refused_since_somebody_wrote_meanwhile_is_not_gone_behind)
{
	wrote("ann", "b", "mine", "2", true);
	refused("b", "1", "2");
	wrote("ann", "b", "0", "1", true);
	comes_to("mine", "2");
}
END_TEST

START_TEST(a_record_comes_back_whose_delete_was_refused)
{
	struct journal_image i = image(IMAGE_DELETE, "ann", "b");

	i.failed = true;
	i.values[i.n_values++] = (struct image_value){ "phone", "max", true, text("1"), text(NULL) };
	fold_add(fold, &i, &contact, NULL);
	ck_assert_int_eq(only_item()->what, UNDO_RECORD);
	ck_assert(image_text_equal(items[0].values[0].want, text("1")));
}
END_TEST

START_TEST(only_that_rule_counts)
{
	struct journal_image i = image(IMAGE_UPDATE, "ann", "b");

	i.values[i.n_values++] = (struct image_value){ "phone", "max", true, text("1"), text("2") };
	i.values[i.n_values++] = (struct image_value){ "name", "min", true, text("x"), text("y") };
	fold_add(fold, &i, &contact, "min");
	ck_assert_uint_eq(only_item()->n_values, 1);
	ck_assert_str_eq(items[0].values[0].field, "name");
}
END_TEST

START_TEST(a_record_is_the_same_under_its_former_key)
{
	struct journal_image i = image(IMAGE_UPDATE, "anna", "b");

	i.former = text("ann");
	i.values[i.n_values++] = (struct image_value){ "mail", "max", true, text("ann"), text("anna") };
	fold_add(fold, &i, &contact, NULL);
	wrote("ann", "b", "1", "2", true);
	ck_assert_uint_eq(only_item()->n_values, 2);
	ck_assert_str_eq(items[0].key, "anna");
}
END_TEST

START_TEST(a_deleted_record_comes_back_as_it_was_before_what_else_was_done_to_it)
{
	struct journal_image i = image(IMAGE_DELETE, "ann", "b");

	i.values[i.n_values++] = (struct image_value){ "phone", "max", true, text("2"), text(NULL) };
	fold_add(fold, &i, &contact, NULL);
	i.endpoint = "c";
	i.values[0].before = text("own form");
	i.values[0].agreed = false;
	fold_add(fold, &i, &contact, NULL);
	wrote("ann", "b", "1", "2", true);
	ck_assert_int_eq(only_item()->what, UNDO_RECORD);
	ck_assert(image_text_equal(items[0].values[0].want, text("1")));
}
END_TEST

START_TEST(what_was_inserted_is_ended_and_what_was_copied_is_not)
{
	struct journal_image i = image(IMAGE_INSERT, "ann", "b");

	wrote("ann", "b", "1", "2", true);
	i.created = true;
	i.print = 7;
	fold_add(fold, &i, &contact, NULL);
	ck_assert_int_eq(only_item()->what, UNDO_END);
	ck_assert_uint_eq(items[0].print, 7);
	teardown();
	setup();
	i.created = false;
	fold_add(fold, &i, &contact, NULL);
	ck_assert_int_eq(only_item()->what, UNDO_NOTHING);
}
END_TEST

static void copied(const char *endpoint, bool failed)
{
	struct journal_image i = image(IMAGE_INSERT, "ann", endpoint);

	i.failed = failed;
	fold_add(fold, &i, &contact, NULL);
}

static void failed_first(const char *endpoint, uint64_t print)
{
	struct journal_image i = image(IMAGE_INSERT, "ann", endpoint);

	i.created = i.failed = true;
	i.print = print;
	fold_add(fold, &i, &contact, NULL);
}

START_TEST(what_was_inserted_at_a_later_try_is_ended)
{
	wrote("ann", "a", "1", "2", true);
	copied("b", false);
	copied("b", true);
	failed_first("b", 7);
	ck_assert_int_eq(only_item()->what, UNDO_END);
	ck_assert_uint_eq(items[0].print, 7);
}
END_TEST

START_TEST(what_was_inserted_nowhere_is_told_and_not_ended)
{
	failed_first("b", 7);
	ck_assert_int_eq(only_item()->what, UNDO_NOTHING);
	ck_assert_str_eq(items[0].code_word, "refused");
	wrote("ann", "a", "1", "2", true);	/* of the life before */
	ck_assert_int_eq(only_item()->what, UNDO_NOTHING);
}
END_TEST

START_TEST(what_one_target_has_refused_is_ended_where_another_one_has_it)
{
	struct journal_image i = image(IMAGE_INSERT, "ann", "c");

	failed_first("b", 7);
	i.created = true;
	i.print = 7;
	fold_add(fold, &i, &contact, NULL);
	ck_assert_int_eq(only_item()->what, UNDO_END);
	ck_assert(items[0].code_word == NULL);
}
END_TEST

START_TEST(the_first_try_of_a_life_before_says_nothing_of_a_copy)
{
	struct journal_image i = image(IMAGE_DELETE, "ann", "b");

	copied("b", false);
	i.values[i.n_values++] = (struct image_value){ "phone", "max", true, text("1"), text(NULL) };
	fold_add(fold, &i, &contact, NULL);
	failed_first("b", 7);
	ck_assert_int_eq(only_item()->what, UNDO_NOTHING);
}
END_TEST

static void inserted(const char *endpoint, uint64_t print)
{
	struct journal_image i = image(IMAGE_INSERT, "ann", endpoint);

	i.created = true;
	i.print = print;
	fold_add(fold, &i, &contact, NULL);
}

static void deleted(const char *endpoint, const char *phone)
{
	struct journal_image i = image(IMAGE_DELETE, "ann", endpoint);

	i.values[i.n_values++] = (struct image_value){ "phone", "max", true, text(phone), text(NULL) };
	fold_add(fold, &i, &contact, NULL);
}

/* As after an undo: the delete's own side has no image of it. */
START_TEST(what_was_deleted_and_inserted_anew_goes_back_to_what_it_was_before)
{
	inserted("b", 7);
	inserted("a", 7);
	deleted("a", "2");
	wrote("ann", "a", "1", "2", true);
	ck_assert_int_eq(only_item()->what, UNDO_AGAIN);
	ck_assert_uint_eq(items[0].print, 7);
	ck_assert_uint_eq(items[0].n_values, 1);
	ck_assert(image_text_equal(items[0].values[0].want, text("1")));
	ck_assert_int_eq(items[0].values[0].expect.len, IMAGE_NOT_KEPT);
}
END_TEST

START_TEST(what_was_edited_since_it_was_inserted_anew_is_told)
{
	wrote("ann", "a", "anew", "edited", true);
	inserted("a", 7);
	deleted("a", "1");
	ck_assert_int_eq(only_item()->what, UNDO_AGAIN);
	ck_assert(image_text_equal(items[0].values[0].want, text("1")));
	ck_assert(image_text_equal(items[0].values[0].inserted, text("anew")));
	ck_assert(image_text_equal(items[0].values[0].expect, text("edited")));
}
END_TEST

START_TEST(what_was_deleted_twice_comes_back_as_it_was_before_the_first_time)
{
	deleted("b", "anew");
	deleted("a", "anew");
	inserted("b", 7);
	inserted("a", 7);
	ck_assert_int_eq(only_item()->what, UNDO_NOTHING);
	deleted("a", "1");
	ck_assert_int_eq(only_item()->what, UNDO_RECORD);
	ck_assert_uint_eq(items[0].n_values, 1);
	ck_assert(image_text_equal(items[0].values[0].want, text("1")));
}
END_TEST

START_TEST(what_was_not_there_before_all_its_lives_is_ended)
{
	wrote("ann", "a", "anew", "edited", true);
	inserted("a", 7);
	deleted("a", "1");
	inserted("a", 8);
	wrote("ann", "a", "0", "1", true);	/* of a life whose end is not told */
	ck_assert_int_eq(only_item()->what, UNDO_END);
	ck_assert_uint_eq(items[0].print, 7);
	ck_assert(image_text_equal(items[0].values[0].want, text("anew")));
	ck_assert(image_text_equal(items[0].values[0].expect, text("edited")));
}
END_TEST

START_TEST(a_witness_of_a_group_goes_back_with_it)
{
	wrote("ann", "b", "2", "2", true);
	wrote("ann", "c", "1", "2", true);
	comes_to("1", "2");
}
END_TEST

/* Nobody is left to say that its other half is somebody else's by now. */
START_TEST(a_group_of_a_deleted_record_does_not_come_back_by_halves)
{
	struct journal_image i = image(IMAGE_DELETE, "ann", "b");

	set_group(0);
	i.values[i.n_values++] = (struct image_value){ "phone", "max", true, text("2"), text(NULL) };
	i.values[i.n_values++] = (struct image_value){ "name", "max", true, text("edited since"), text(NULL) };
	fold_add(fold, &i, &contact, NULL);
	i = image(IMAGE_UPDATE, "ann", "b");
	i.values[i.n_values++] = (struct image_value){ "phone", "max", true, text("1"), text("2") };
	i.values[i.n_values++] = (struct image_value){ "name", "max", true, text("of then"), text("of then") };
	fold_add(fold, &i, &contact, NULL);
	wrote("ann", "b", "0", "1", true);
	ck_assert(image_text_equal(only_item()->values[0].want, text("2")));
	ck_assert(image_text_equal(items[0].values[1].want, text("edited since")));
}
END_TEST

START_TEST(half_of_a_group_that_is_told_leaves_a_deleted_record_as_it_was_then)
{
	struct journal_image i = image(IMAGE_DELETE, "ann", "b");

	set_group(0);
	i.values[i.n_values++] = (struct image_value){ "phone", "max", true, text("2"), text(NULL) };
	i.values[i.n_values++] = (struct image_value){ "name", "max", true, text("edited since"), text(NULL) };
	fold_add(fold, &i, &contact, NULL);
	wrote("ann", "b", "1", "2", true);
	ck_assert(image_text_equal(only_item()->values[0].want, text("2")));
	ck_assert(image_text_equal(items[0].values[1].want, text("edited since")));
}
END_TEST

/* One target had been left behind in one half, another in both: neither half tells what was agreed on. */
START_TEST(a_group_of_two_targets_is_not_put_together_of_both)
{
	struct journal_image i = image(IMAGE_UPDATE, "ann", "b");

	set_group(0);
	i.values[i.n_values++] = (struct image_value){ "name", "max", false, text("of b"), text("new") };
	i.values[i.n_values++] = (struct image_value){ "phone", "max", true, text("2"), text("2") };
	fold_add(fold, &i, &contact, NULL);
	i = image(IMAGE_UPDATE, "ann", "c");
	i.values[i.n_values++] = (struct image_value){ "name", "max", false, text("of c"), text("new") };
	i.values[i.n_values++] = (struct image_value){ "phone", "max", false, text("3"), text("2") };
	fold_add(fold, &i, &contact, NULL);
	ck_assert_int_eq(only_item()->values[0].want.len, IMAGE_SEVERAL);
	ck_assert_int_eq(items[0].values[1].want.len, IMAGE_SEVERAL);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fold");
	TCase *t = tcase_create("fold");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, writes_that_went_on_from_each_other_go_back_to_the_first);
	tcase_add_test(t, there_and_back_again);
	tcase_add_test(t, what_somebody_wrote_in_between_is_not_gone_behind);
	tcase_add_test(t, a_write_that_was_tried_twice_is_one_step);
	tcase_add_test(t, of_several_values_before_the_agreed_one_counts);
	tcase_add_test(t, of_several_values_before_none_counts_where_none_was_agreed);
	tcase_add_test(t, what_was_refused_goes_back_like_what_was_written);
	tcase_add_test(t, what_was_refused_since_somebody_wrote_meanwhile_is_not_gone_behind);
	tcase_add_test(t, a_record_comes_back_whose_delete_was_refused);
	tcase_add_test(t, only_that_rule_counts);
	tcase_add_test(t, a_record_is_the_same_under_its_former_key);
	tcase_add_test(t, a_deleted_record_comes_back_as_it_was_before_what_else_was_done_to_it);
	tcase_add_test(t, what_was_inserted_is_ended_and_what_was_copied_is_not);
	tcase_add_test(t, what_was_inserted_at_a_later_try_is_ended);
	tcase_add_test(t, what_was_inserted_nowhere_is_told_and_not_ended);
	tcase_add_test(t, what_one_target_has_refused_is_ended_where_another_one_has_it);
	tcase_add_test(t, the_first_try_of_a_life_before_says_nothing_of_a_copy);
	tcase_add_test(t, what_was_deleted_and_inserted_anew_goes_back_to_what_it_was_before);
	tcase_add_test(t, what_was_edited_since_it_was_inserted_anew_is_told);
	tcase_add_test(t, what_was_deleted_twice_comes_back_as_it_was_before_the_first_time);
	tcase_add_test(t, what_was_not_there_before_all_its_lives_is_ended);
	tcase_add_test(t, a_witness_of_a_group_goes_back_with_it);
	tcase_add_test(t, a_group_of_a_deleted_record_does_not_come_back_by_halves);
	tcase_add_test(t, half_of_a_group_that_is_told_leaves_a_deleted_record_as_it_was_then);
	tcase_add_test(t, a_group_of_two_targets_is_not_put_together_of_both);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed > 0;
}
