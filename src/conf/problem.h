/*
 * problem.h - what is wrong in a topology file, collected.
 *
 * Inside conf/. All problems of one run are shown together, so that a file is mended in one go.
 */
#ifndef CONF_PROBLEM_H
#define CONF_PROBLEM_H

#include <stdarg.h>
#include <stddef.h>

#include "conf/topology.h"

/* Copies path and text; line and column from 1, line 0: the file as a whole. */
void problem_add(struct conf_problems *ps, unsigned line, unsigned column, const char *path, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
void problem_addv(struct conf_problems *ps, unsigned line, unsigned column, const char *path, const char *fmt, va_list ap)
	__attribute__((format(printf, 5, 0)));
/* In the order of the file. */
void problems_sort(struct conf_problems *ps);

#endif
