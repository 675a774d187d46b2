/*
 * feed.h - what there is to do next: its parts, and what its files call of each other.
 *
 *   feed.c     what is next, and room for it: records to look at again, news, the pump; a side's ups and downs
 *   scan.c     scans over the vectors: who is owed something? whose row has vanished?
 *   listing.c  surveys and sweeps: every row of a table
 *   recover.c  after (re)connecting to the store: intents, positions, marks
 *   retry.c    parked records, once more
 *
 * The pump calls the `feed_` functions for as long as one of them answers true: it has got something further.
 */
#ifndef SYNC_FEED_H
#define SYNC_FEED_H

#include "base/clock.h"
#include "base/fault.h"
#include "sync/state.h"

/* The state is at hand, and nothing stands in the way of work but the operator. */
static inline bool is_at_hand(const struct flow *flow)
{
	const struct sync *s = flow->sync;

	if (clock_mono_us() < s->rest_until_us)
		return false;
	return !s->closing && s->store->ready && s->recovered && s->rebase == NULL && !s->finishing;
}

static inline bool ready(const struct flow *flow)
{
	return is_at_hand(flow) && !flow->paused;
}

/* Rounds wait for what was committed there by now. They may hold all the room there is: it has one more, for that. */
void side_look_now(struct side *side);

static inline size_t batch_rows(const struct flow *flow)
{
	return fault("f27-a-batch-has-all-rows") ? 1000000 : (size_t)flow->sync->topology->limits.batch_rows;
}

/* held.c */
bool feed_held(struct flow *flow);

/* waiting.c */
bool feed_verdicts(struct flow *flow);

/* scan.c */
bool feed_scan(struct flow *flow);
/* Which of these rows are not among those? */
void ids_each_missing(const struct value *there, size_t n_there, const struct value *ids, size_t n, struct arena *arena,
		      void (*fn)(void *arg, size_t i), void *arg);
/* The same of rows that were read. */
void scan_each_missing(const struct rowset *rows, const struct value *ids, size_t n, struct arena *arena, void (*fn)(void *arg, size_t i), void *arg);
void vanished_clear(struct side *side);

/* retry.c */
bool feed_retry(struct flow *flow);
void retry_init(struct side *side);
void retry_fini(struct side *side);

/* listing.c */
bool feed_listing(struct flow *flow);
/* In a vector as it is read: whom it does not know was not in the topology when it was written, and has yet to hear of the record. */
void feed_tell_newcomers(const struct flow *flow, struct vector *v);
void listing_over(struct side *side);		/* ended or given up: what is still to be answered is dropped */
void gap_found(struct side *side, const char *now);	/* capture stands at another position than it left */
bool log_is_as_left(const struct side *side, const char *now);	/* capture: listen; it has everything since then */
void sweep_again(struct side *side);		/* the sweep was given up */
void sweep_done(struct side *side);		/* the survey or sweep has seen everything */
void survey_compare(struct side *, struct value mark);	/* which fields had another column or form then */
bool survey_holds(const struct side *side, struct value mark);	/* it saw the table as the topology describes it now */
int64_t survey_quantum_us(struct value mark);			/* the precision of that side's stamps */
/*
 * In the store. The kinds: "survey"; "poll", the position of any capture, and "watermark", which are worth something while there is a survey;
 * "unaccounted", while it is so, which stands for itself.
 */
enum { SIDE_MARKS = 4 };
extern const char *const side_marks[SIDE_MARKS];
void side_name_mark(const struct side *side, const char *kind, char out[200]);

#endif
