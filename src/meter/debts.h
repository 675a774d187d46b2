/*
 * debts.h - since when is the oldest of many open things open? Pure.
 *
 * Each is added with its time and removed with the same time, in any order. They lie in bins by time, sorted; a bin is a tenth of a
 * second, and where there come to be more than DEBT_BINS they are made wider: memory has a bound, and the answer is never too
 * young, and too old by a bin's width at most, which is a thousandth or so of what the oldest and the newest are apart.
 */
#ifndef METER_DEBTS_H
#define METER_DEBTS_H

#include <stddef.h>
#include <stdint.h>

enum { DEBT_BINS = 4096 };

struct debts {
	struct debt_bin {
		int64_t first_us, last_us;
		int64_t n;
	} *bins;			/* owned */
	size_t n, cap;
	int64_t width_us;		/* 0: they never had to be made wider */
};

#define DEBTS_NONE INT64_MAX

void debts_add(struct debts *, int64_t since_us);
/* One that was never added takes the place of the nearest older one: nothing stays for ever. */
void debts_remove(struct debts *, int64_t since_us);
int64_t debts_oldest(const struct debts *);	/* DEBTS_NONE: there is none */
void debts_clear(struct debts *);		/* and releases what it has */

#endif
