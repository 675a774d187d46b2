/*
 * fault.h - protections that a test may take out, to see that it would notice. Builds with --enable-failpoints only; else nothing is
 * left of it, not even the names.
 *
 * CRMSYNCD_FAULT=NAME   that one is out. fault() stands where the protection does and is true then:
 *
 *	if (w->xmin_matches || fault("f99-writes-without-looking"))
 *
 * A name begins with the failure mode against which the protection stands, and says what the daemon does without it. Which test sees
 * which fault is in tests/live/faults.py; tests/live/run --faults tries them all.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include "config.h"

#include <stdbool.h>

#ifdef WITH_FAILPOINTS
bool fault(const char *name);
#else
#define fault(name) false
#endif

#endif
