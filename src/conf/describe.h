/*
 * describe.h - what of a topology its state is bound to, in lines: so that a backup of another one is told apart.
 *
 * Its name, its endpoints, its entities with their keys and the fields with their types; not the order in the file, and nothing that may
 * differ from machine to machine (connections, intervals, limits) or that the daemon takes in its stride (rules, columns).
 */
#ifndef CONF_DESCRIBE_H
#define CONF_DESCRIBE_H

struct buf;
struct topology;

void topology_describe(const struct topology *, struct buf *out);

#endif
