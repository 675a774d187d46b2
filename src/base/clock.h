/*
 * clock.h - time as the daemon sees it. Microseconds.
 *
 * Durations use the monotonic clock, labels and stamps the wall clock. Tests and the simulation set
 * both with clock_fake(); from then on time moves only when they say so.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

int64_t clock_mono_us(void);
int64_t clock_wall_us(void);		/* since 1970-01-01 UTC */
int64_t clock_boot_us(void);		/* like mono, but also counts while the machine sleeps */
void clock_fake(int64_t mono_us, int64_t wall_us);
void clock_real(void);

#endif
