/*
 * object.h - reading what /status and the commands say (JSON): a newer or an older one may leave things out, and what nobody knows is null.
 */
#ifndef BASE_OBJECT_H
#define BASE_OBJECT_H

#include <jansson.h>

const char *str(const json_t *, const char *name);		/* "" when there is none */
double num(const json_t *, const char *name);			/* NAN when there is none */
json_int_t number(const json_t *, const char *name);		/* 0 when there is none */
const json_t *sub(const json_t *, const char *name);		/* NULL when there is none */

#endif
