/*
 * fake_sync.h - the functions of sync/sync.h with canned data, for the tests of control/ and ctl/.
 *
 * Linked before the library, so that the real sync/ is not pulled in. The test turns the knobs, also from
 * another process: `fake` lives in shared memory once fake_sync_share() was called.
 */
#ifndef TESTS_CONTROL_FAKE_SYNC_H
#define TESTS_CONTROL_FAKE_SYNC_H

#include <stdbool.h>
#include <stdint.h>

struct journal;
struct loop;
struct sync;
struct topology;

struct fake {
	/* knobs */
	bool redis_down, support_down, owes_nothing, standby, put_back, reconciling, surveying, verifying, refuse_install, refuse_reload, slow_reload, busy_reload;
	int64_t parked, pending;
	int64_t plan_left;		/* so many things are planned */
	int64_t differ;			/* so many records of an entity differ, verify finds */
	int64_t differed[2];		/* so many of account, contact were found to, by the last one */
	bool unbalanced;		/* one change of contact is in no account */
	bool all_unbalanced;		/* and one of account */
	bool break_backup;		/* it has no end */
	int64_t settle_ms;		/* a wait is answered after that; -1: it runs into its timeout */
	/* what was ordered */
	int plan_cancels, waits, cancels, kicks, sweeps, installs, uninstalls, reloads, releases, discards;
	char paused[32], resumed[32], decided[100];
};
extern struct fake *fake;

void fake_sync_share(void);
void fake_sync_reset(void);

struct topology *fake_topology(const char *stats, const char *listen, const char *control);
struct sync *fake_sync_new(struct loop *, const struct topology *, struct journal *);
void fake_sync_free(struct sync **);
/* Also a name that needs escaping: the third endpoint is called `bil"ling\` instead of billing. */
void fake_odd_names(struct topology *);

#endif
