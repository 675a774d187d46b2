/*
 * fuzz_http.c - the head of a request to the stats or control socket: any bytes are refused or taken, and within their own bounds.
 */
#include "fuzz.h"

#include <string.h>

#include "control/http_parse.h"

const char *const fuzz_examples[] = {
	"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: text/plain;q=0.5, application/openmetrics-text\r\n\r\n",
	"POST /v1/wait?timeout=5 HTTP/1.1\nContent-Length: 12\nExpect: 100-continue\nConnection: close\n\n{\"a\": \"b\"}\n",
	"POST / HTTP/1.1\r\nContent-Length: 70000\r\n\r\n", "HEAD / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "GET /a?b=%41&c HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", NULL
};

static bool is_inside(const char *s, const char *text, size_t len)
{
	return s == NULL || *s == '\0' || (s >= text && s + strlen(s) <= text + len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t end = http_head_end((const char *)data, size);
	struct http_head head = { 0 };
	const char *why = NULL;
	char *text;
	int status;

	fuzz_check(end <= size, "a head of %zu bytes in %zu", end, size);
	if (end == 0 || end > HTTP_HEAD_MAX)
		return 0;
	text = malloc(end);
	if (text == NULL)
		return 0;
	memcpy(text, data, end);
	status = http_head_parse(text, end, &head, &why);
	if (status != 0) {
		fuzz_check(status >= 400 && status < 600 && why != NULL, "refused with %d", status);
		fuzz_check(http_status_words(status) != NULL, "%d has no words", status);
	} else {
		fuzz_check(head.body_len <= HTTP_BODY_MAX, "a body of %zu", head.body_len);
		fuzz_check(is_inside(head.path, text, end) && is_inside(head.query, text, end) && is_inside(head.accept, text, end),
			   "what is cut out is not of the head");
		fuzz_check(http_accept_weight(head.accept, "text/html") >= 0 && http_accept_weight(head.accept, "text/html") <= 1000, "a weight out of range");
	}
	free(text);
	return 0;
}
