/*
 * fake_rows.h - rows of a simulated database as the seam has them.
 */
#ifndef SIM_FAKE_ROWS_H
#define SIM_FAKE_ROWS_H

#include "endpoint/endpoint.h"
#include "world.h"

struct rowset *fake_rowset_new(void);
struct arena *fake_rowset_arena(struct rowset *);
struct value fake_number(struct arena *, int64_t n);
int64_t fake_stamp(const struct db *, int64_t stamp);		/* as it is reported */
void fake_row_fill(struct db *, const struct db_row *, size_t entity, struct arena *, struct row *out);

#endif
