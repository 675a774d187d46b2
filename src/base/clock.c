#include "base/clock.h"

#include <stdbool.h>
#include <time.h>

static bool faked;
static int64_t fake_mono, fake_wall;

static int64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_mono_us(void)
{
	return faked ? fake_mono : read_clock(CLOCK_MONOTONIC);
}

int64_t clock_wall_us(void)
{
	return faked ? fake_wall : read_clock(CLOCK_REALTIME);
}

int64_t clock_boot_us(void)
{
	return faked ? fake_mono : read_clock(CLOCK_BOOTTIME);
}

void clock_fake(int64_t mono_us, int64_t wall_us)
{
	faked = true;
	fake_mono = mono_us;
	fake_wall = wall_us;
}

void clock_real(void)
{
	faked = false;
}
