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

static void coarsen(struct debts *d)
{
	size_t half = d->n / 2, to = 0;

	for (size_t i = 0; i + 1 < half; i += 2) {
		struct debt_bin *a = &d->bins[i], *b = &d->bins[i + 1];

		d->bins[to++] = (struct debt_bin){ a->first_us, b->last_us, a->n + b->n };
	}
	memmove(&d->bins[to], &d->bins[2 * to], (d->n - 2 * to) * sizeof *d->bins);
	d->n -= to;
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
	d->n--;
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
