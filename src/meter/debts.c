#include "meter/debts.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { BIN_US = 100000 };

/* The first bin that ends at or after that time; n when there is none. */
static size_t find(const struct debts *d, int64_t us)
{
	size_t low = 0, high = d->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (d->bins[mid].last_us < us)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Neighbours within one width become one. */
static void merge(struct debts *d)
{
	size_t to = 0;

	for (size_t i = 1; i < d->n; i++) {
		struct debt_bin *last = &d->bins[to], *next = &d->bins[i];

		if (next->last_us - last->first_us < d->width_us) {
			last->last_us = next->last_us;
			last->n += next->n;
		} else {
			d->bins[++to] = *next;
		}
	}
	d->n = to + 1;
}

static void coarsen(struct debts *d)
{
	if (d->width_us == 0)
		d->width_us = BIN_US;
	for (merge(d); d->n > DEBT_BINS / 2; merge(d))
		d->width_us *= 2;
}

static void insert(struct debts *d, size_t at, int64_t us)
{
	if (d->n == d->cap) {
		d->cap = d->cap > 0 ? 2 * d->cap : 16;
		d->bins = xrealloc(d->bins, d->cap * sizeof *d->bins);
	}
	memmove(&d->bins[at + 1], &d->bins[at], (d->n - at) * sizeof *d->bins);
	d->bins[at] = (struct debt_bin){ us, us, 1 };
	d->n++;
}

/* Rounded down, so that never too young. */
static int64_t rounded(int64_t us)
{
	return us - (us % BIN_US + BIN_US) % BIN_US;
}

void debts_add(struct debts *d, int64_t since_us)
{
	int64_t us = rounded(since_us);
	size_t at = find(d, us);

	if (at < d->n && d->bins[at].first_us <= us) {
		d->bins[at].n++;
		return;
	}
	if (d->n == DEBT_BINS) {
		coarsen(d);
		debts_add(d, since_us);
		return;
	}
	insert(d, at, us);
}

void debts_remove(struct debts *d, int64_t since_us)
{
	int64_t us = rounded(since_us);
	size_t at = find(d, us);

	if (d->n == 0)
		return;
	if ((at == d->n || d->bins[at].first_us > us) && at > 0)
		at--;
	if (--d->bins[at].n > 0)
		return;
	memmove(&d->bins[at], &d->bins[at + 1], (d->n - at - 1) * sizeof *d->bins);
	if (--d->n == 0)
		d->width_us = 0;
}

int64_t debts_oldest(const struct debts *d)
{
	return d->n > 0 ? d->bins[0].first_us : DEBTS_NONE;
}

void debts_clear(struct debts *d)
{
	free(d->bins);
	memset(d, 0, sizeof *d);
}
