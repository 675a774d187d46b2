/*
 * mem.h - allocation that cannot fail.
 *
 * For small, bounded things. When memory is out the daemon says so and stops: nothing is lost, since
 * every step of a round may be repeated. What grows with input must have a bound of its own.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>

/* For a process that frees what it wants again at once: some megabytes stay with it. Call it before the first allocation that matters. */
void mem_keep_freed(void);

void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *old, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), malloc, returns_nonnull));
char *xvasprintf(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0), malloc, returns_nonnull));

#define countof(a) (sizeof(a) / sizeof((a)[0]))

/*
 * A function that only prefetches. GCC takes it for one without effect and drops the calls, unless it has been inlined before that is looked
 * at (or is another file's).
 */
#define ONLY_PREFETCHES inline __attribute__((always_inline))

#endif
