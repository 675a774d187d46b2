#include "control/http_parse.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

size_t http_head_end(const char *p, size_t n)
{
	for (const char *nl = memchr(p, '\n', n); nl != NULL; nl = memchr(nl + 1, '\n', n - (size_t)(nl + 1 - p))) {
		size_t left = n - (size_t)(nl + 1 - p);

		if (left >= 1 && nl[1] == '\n')
			return (size_t)(nl + 2 - p);
		if (left >= 2 && nl[1] == '\r' && nl[2] == '\n')
			return (size_t)(nl + 3 - p);
	}
	return 0;
}

/* Cuts the next line off; NULL at the empty line that ends the head. */
static char *next_line(char **rest)
{
	char *line = *rest, *nl = strchr(line, '\n');

	if (nl == NULL)
		return NULL;
	*nl = '\0';
	if (nl > line && nl[-1] == '\r')
		nl[-1] = '\0';
	*rest = nl + 1;
	return line[0] != '\0' ? line : NULL;
}

static int refuse(const char **why, int status, const char *text)
{
	*why = text;
	return status;
}

static enum http_method method_of(const char *word)
{
	if (strcmp(word, "GET") == 0)
		return HTTP_GET;
	if (strcmp(word, "HEAD") == 0)
		return HTTP_HEAD;
	if (strcmp(word, "POST") == 0)
		return HTTP_POST;
	return HTTP_OTHER;
}

static int parse_request_line(char *line, struct http_head *head, const char **why)
{
	char *target = strchr(line, ' '), *version, *query;

	if (target == NULL || target == line)
		return refuse(why, 400, "the request line is not METHOD PATH VERSION");
	*target++ = '\0';
	version = strchr(target, ' ');
	if (version == NULL || target[0] != '/')
		return refuse(why, 400, "the request line is not METHOD PATH VERSION");
	*version++ = '\0';
	if (strcmp(version, "HTTP/1.1") == 0)
		head->http11 = true;
	else if (strcmp(version, "HTTP/1.0") != 0)
		return refuse(why, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
	head->keep_alive = head->http11;
	head->method = method_of(line);
	head->path = target;
	query = strchr(target, '?');
	head->query = query != NULL ? query + 1 : version + strlen(version);	/* "" */
	if (query != NULL)
		*query = '\0';
	return 0;
}

static int parse_length(const char *value, bool *seen, struct http_head *head, const char **why)
{
	size_t n = 0, digits = strspn(value, "0123456789");

	if (digits == 0 || value[digits] != '\0')
		return refuse(why, 400, "Content-Length is not a number");
	for (size_t i = 0; i < digits; i++) {
		n = n * 10 + (size_t)(value[i] - '0');
		if (n > HTTP_BODY_MAX)
			return refuse(why, 413, "the body is larger than 64 KiB");
	}
	if (*seen && n != head->body_len)
		return refuse(why, 400, "two different Content-Lengths");
	*seen = true;
	head->body_len = n;
	return 0;
}

/* Only the headers that change how the bytes are read, and what a page looks like; all others are skipped. */
static int parse_header(char *line, bool *length_seen, struct http_head *head, const char **why)
{
	char *colon = strchr(line, ':'), *value, *end;

	if (colon == NULL || colon == line || line[0] == ' ' || line[0] == '\t')
		return refuse(why, 400, "a header line is not NAME: VALUE");
	*colon = '\0';
	value = colon + 1 + strspn(colon + 1, " \t");
	for (end = value + strlen(value); end > value && (end[-1] == ' ' || end[-1] == '\t'); )
		*--end = '\0';
	if (strcasecmp(line, "Content-Length") == 0)
		return parse_length(value, length_seen, head, why);
	if (strcasecmp(line, "Transfer-Encoding") == 0)
		return refuse(why, 501, "send the body with a Content-Length, not in chunks");
	if (strcasecmp(line, "Connection") == 0) {
		if (strcasecmp(value, "close") == 0)
			head->keep_alive = false;
		else if (strcasecmp(value, "keep-alive") == 0)
			head->keep_alive = true;
	}
	if (strcasecmp(line, "Accept") == 0 && head->accept[0] == '\0')
		head->accept = value;
	if (strcasecmp(line, "Expect") == 0 && strcasecmp(value, "100-continue") == 0)
		head->expect_continue = true;
	return 0;
}

int http_head_parse(char *text, size_t len, struct http_head *head, const char **why)
{
	bool length_seen = false;
	char *rest = text, *line;
	int status, headers = 0;

	memset(head, 0, sizeof *head);
	head->accept = "";
	*why = "";
	if (memchr(text, '\0', len) != NULL)
		return refuse(why, 400, "a NUL byte in the head");
	text[len - 1] = '\0';			/* the last line feed: from here on it is a string */
	line = next_line(&rest);
	if (line == NULL)
		return refuse(why, 400, "the request line is empty");
	status = parse_request_line(line, head, why);
	while (status == 0 && (line = next_line(&rest)) != NULL) {
		if (++headers > HTTP_HEADERS_MAX)
			return refuse(why, 431, "more than 64 header lines");
		status = parse_header(line, &length_seen, head, why);
	}
	return status;
}

/* ---- Accept (RFC 9110, 12.5.1) ----------------------------------------------------------------------- */

static const char blanks[] = " \t";

/* "0.75": thousandths; what is no weight counts as none given. */
static int weight_of(const char *p)
{
	int weight = 0, place = 100;

	if (p[0] != '0')
		return 1000;
	for (p += p[1] == '.' ? 2 : 1; *p >= '0' && *p <= '9' && place > 0; p++, place /= 10)
		weight += (*p - '0') * place;
	return weight;
}

/* The q among the parameters of one range, which end at `end`. */
static int range_weight(const char *p, const char *end)
{
	while ((p = memchr(p, ';', (size_t)(end - p))) != NULL) {
		p++;
		p += strspn(p, blanks);
		if ((p[0] == 'q' || p[0] == 'Q') && p[1] == '=')
			return weight_of(p + 2);
	}
	return 1000;
}

int http_accept_weight(const char *accept, const char *type)
{
	size_t n = strlen(type);
	int most = 0;

	for (const char *p = accept; *p != '\0'; p += *p == ',') {
		const char *end = p + strcspn(p, ",");

		p += strspn(p, blanks);
		if (strncasecmp(p, type, n) == 0 && (p[n] == '\0' || strchr(",; \t", p[n]) != NULL)) {
			int weight = range_weight(p + n, end);

			most = weight > most ? weight : most;
		}
		p = end;
	}
	return most;
}

const char *http_status_words(int status)
{
	static const struct { int status; const char *words; } list[] = {
		{ 200, "OK" }, { 400, "Bad Request" }, { 403, "Forbidden" }, { 404, "Not Found" },
		{ 405, "Method Not Allowed" }, { 408, "Request Timeout" }, { 413, "Content Too Large" },
		{ 422, "Unprocessable Content" }, { 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" }, { 501, "Not Implemented" }, { 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" }, { 505, "HTTP Version Not Supported" },
	};

	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
		if (list[i].status == status)
			return list[i].words;
	return "Status";
}
