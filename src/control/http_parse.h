/*
 * http_parse.h - the head of an HTTP/1.x request: bytes in, struct or status out. Pure.
 *
 * Strict where leniency buys nothing: a header without a colon, a folded line, a body of unknown length
 * or two different lengths are refused. Lines may end in CRLF or, for people with netcat, in LF.
 */
#ifndef CONTROL_HTTP_PARSE_H
#define CONTROL_HTTP_PARSE_H

#include <stdbool.h>
#include <stddef.h>

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_OTHER };

enum { HTTP_HEAD_MAX = 16 * 1024, HTTP_HEADERS_MAX = 64, HTTP_BODY_MAX = 64 * 1024 };

struct http_head {
	enum http_method method;
	char *path;			/* as sent, up to the '?'; not decoded: no page needs it */
	char *query;			/* behind the '?', or "" */
	const char *accept;		/* of the first Accept, or "" */
	bool http11;			/* chunks may be sent */
	bool keep_alive;
	bool expect_continue;		/* the client waits for "100 Continue" before it sends the body */
	size_t body_len;		/* at most HTTP_BODY_MAX */
};

/* Length of the head with its empty line; 0 while that has not arrived. */
size_t http_head_end(const char *p, size_t n);

/*
 * Reads a whole head (as http_head_end() found it) and cuts it up in place: head->path, ->query and ->accept
 * point into it. Returns 0, or the HTTP status to refuse the request with and in *why a sentence.
 */
int http_head_parse(char *text, size_t len, struct http_head *head, const char **why);

/* How much an Accept wants that very type: its q in thousandths, 0 when it does not name it. Ranges with a * name nothing. */
int http_accept_weight(const char *accept, const char *type);

const char *http_status_words(int status);

#endif
