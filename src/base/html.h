/*
 * html.h - HTML put together so that no text of others can become markup, and tables that stay readable on a phone.
 *
 * Pure. Whatever is not a constant of ours goes through html_add(), which escapes it. A table says its column's title in
 * every cell, too: on a narrow screen the style shows each row as a list of these. Roles are spelled out since browsers
 * forget that a table is one once it is not displayed as one.
 */
#ifndef BASE_HTML_H
#define BASE_HTML_H

#include <stddef.h>

struct buf;

/* The style of all our pages: page.css, made a string by make. */
extern const char html_style[];

/* The format's own text is HTML of ours. It knows %s and %% alone, and escapes what stands for it: text or an attribute in quotes. */
void html_add(struct buf *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

struct html_column {
	const char *title;
	const char *class;		/* of all its cells: "n" numbers; "" */
};
struct html_table {
	struct buf *out;
	const struct html_column *columns;
	size_t n_columns;
	size_t at;			/* the column of the next cell */
};

/* label: the id of the heading that names the table. */
void html_table_begin(struct html_table *, struct buf *out, const char *label, const struct html_column *columns, size_t n);
void html_table_end(struct html_table *);
void html_row_begin(struct html_table *);
void html_row_end(struct html_table *);
/* The cell that names its row; what is added to `out` up to html_cell_end() is in it. */
void html_head_begin(struct html_table *);
void html_head_end(struct html_table *);
/* tone: "" or one of good, care, bad, dim. */
void html_cell_begin(struct html_table *, const char *tone);
void html_cell_end(struct html_table *);
/* A row of one wide cell which belongs to the row above. */
void html_note_begin(struct html_table *);
void html_note_end(struct html_table *);

#endif
