/*
 * check_bad_topology.c - files with something wrong in them, and exactly what is said about each.
 *
 * A row is a file and every line of the answer, without the name of the file; "" stands for a good file.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/topology.h"

#define TEXT(...) (__VA_ARGS__), sizeof(__VA_ARGS__) - 1

#define TOP \
	"version: 1\n" \
	"topology: t\n"
#define ENDPOINTS \
	"endpoints:\n" \
	"  a: {driver: postgres, connection: host=a}\n" \
	"  b: {driver: postgres, connection: host=b}\n"
#define ENTITIES \
	"entities:\n" \
	"  c:\n" \
	"    key: [k]\n" \
	"    fields:\n" \
	"      k: {type: text}\n" \
	"      n: {type: text}\n" \
	"    mappings:\n" \
	"      a: {table: ta}\n" \
	"      b: {table: tb}\n"
#define ENDPOINT_B \
	"endpoints:\n" \
	"  a: {driver: postgres, connection: host=a}\n" \
	"  b:\n" \
	"    driver: postgres\n" \
	"    connection: host=b\n"
#define ENDPOINT_A \
	"endpoints:\n" \
	"  a: {driver: postgres, connection: host=a}\n"
#define FIELDS \
	"entities:\n" \
	"  c:\n" \
	"    key: [k]\n" \
	"    fields:\n" \
	"      k: {type: text}\n"
#define MAPPINGS \
	"    mappings:\n" \
	"      a: {table: ta}\n" \
	"      b: {table: tb}\n"

static const struct bad {
	const char *name;
	const char *text;
	size_t len;
	const char *problems;
} rows[] = {
	/* ---- the form of the file */
	{ "empty",
	  TEXT(""),
	  "1:1: the file is empty: a topology begins with version: 1\n" },
	{ "only a comment",
	  TEXT("# nothing\n"),
	  "1:1: the file is empty: a topology begins with version: 1\n" },
	{ "only a document mark",
	  TEXT("---\n"),
	  "2:1: wants a topology: a map that begins with version: 1, has nothing\n" },
	{ "a scalar",
	  TEXT("topology\n"),
	  "1:1: wants a topology: a map that begins with version: 1, has \"topology\"\n" },
	{ "a list",
	  TEXT("- version: 1\n"),
	  "1:1: wants a topology: a map that begins with version: 1, has a list\n" },
	{ "two documents",
	  TEXT(TOP ENDPOINTS ENTITIES "---\n" TOP),
	  "15:1: a second document begins here: one file is one topology\n" },
	{ "something after the end",
	  TEXT(TOP ENDPOINTS ENTITIES "...\n" "version: 1\n"),
	  "16:1: not YAML: did not find expected <document start>\n" },
	{ "tab indents",
	  TEXT(TOP "state:\n" "\tredis: unix:/x\n" ENDPOINTS ENTITIES),
	  "4:1: a tab cannot indent here: use spaces\n" },
	{ "byte order mark is fine",
	  TEXT("\357\273\277version: 1\n" "topology: t\n" ENDPOINTS ENTITIES),
	  "" },
	{ "byte order mark in the middle",
	  TEXT(TOP "\357\273\277endpoints:\n" "  a: {driver: postgres, connection: host=a}\n"
	     "  b: {driver: postgres, connection: host=b}\n" ENTITIES),
	  "3:1: a control character (U+FEFF) is not allowed here\n" },
	{ "UTF-16",
	  TEXT("\377\376v\000e\000"),
	  "1:1: this file is UTF-16; a topology is UTF-8\n" },
	{ "NUL",
	  TEXT(TOP "a\000b: 1\n"),
	  "3:2: a NUL byte: this is not a text file\n" },
	{ "NUL by escape",
	  TEXT(TOP "state: {redis: \"unix:/x\\0y\"}\n" ENDPOINTS ENTITIES),
	  "3:16: state.redis: this text holds a NUL character\n" },
	{ "control character",
	  TEXT(TOP "state:\n" "  redis: un\001ix\n" ENDPOINTS ENTITIES),
	  "4:12: a control character (U+0001) is not allowed here\n" },
	{ "not UTF-8",
	  TEXT(TOP "state:\n" "  redis: \303\251\377endpoints:\n" "  a: {driver: postgres, connection: host=a}\n"
	     "  b: {driver: postgres, connection: host=b}\n" ENTITIES),
	  "4:11: this byte (0xff) is not UTF-8\n" },
	{ "columns are characters",
	  TEXT(TOP "state: {\"\303\251\303\251\303\251\": 1}\n" ENDPOINTS ENTITIES),
	  "3:9: state.\303\251\303\251\303\251: unknown key\n" },
	{ "unclosed quote",
	  TEXT(TOP "state:\n" "  redis: \"unix:/x\n"),
	  "5:1: not YAML: found unexpected end of stream, while scanning a quoted scalar that begins in line 4\n" },
	{ "unclosed list",
	  TEXT(TOP ENDPOINTS "entities:\n" "  c:\n" "    key: [k\n" "    fields: {}\n"),
	  "9:11: not YAML: did not find expected ',' or ']', while parsing a flow sequence that begins in line 8\n" },
	{ "colon in a colon",
	  TEXT(TOP "state: redis: x\n"),
	  "3:13: not YAML: mapping values are not allowed in this context\n" },
	{ "anchor",
	  TEXT(TOP "state: &s\n" "  redis: unix:/x\n" ENDPOINTS ENTITIES),
	  "3:8: state: anchors (&name) are not allowed: write the value out\n" },
	{ "anchor and alias",
	  TEXT(TOP "stats: {socket: &s /x/a}\n" "control: {socket: *s}\n" ENDPOINTS ENTITIES),
	  "3:17: stats.socket: anchors (&name) are not allowed: write the value out\n"
	  "4:19: control.socket: aliases (*name) are not allowed: write the value out\n" },
	{ "cyclic alias",
	  TEXT(TOP ENDPOINTS "entities: &e\n" "  c: *e\n"),
	  "6:11: entities: anchors (&name) are not allowed: write the value out\n"
	  "7:6: entities.c: aliases (*name) are not allowed: write the value out\n" },
	{ "alias as key",
	  TEXT(TOP "*x : 1\n"),
	  "3:1: aliases (*name) are not allowed: write the value out\n" },
	{ "tag",
	  TEXT(TOP "state: {redis: !!str unix:/x}\n" ENDPOINTS ENTITIES),
	  "3:16: state.redis: tags (!type) are not allowed: the setting knows its type\n" },
	{ "merge key",
	  TEXT(TOP "stats: {<<: {socket: /x/y}}\n" ENDPOINTS ENTITIES),
	  "3:9: stats.<<: unknown key\n" },
	{ "list as key",
	  TEXT(TOP "? [a, b]\n" ": 1\n"),
	  "3:3: a key must be a name, not a list or a map\n" },
	{ "seventeen levels",
	  TEXT(TOP "state: [[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]\n"),
	  "3:23: state[0][0][0][0][0][0][0][0][0][0][0][0][0][0]: more than 16 levels deep\n" },
	{ "sixteen levels are only wrong",
	  TEXT(TOP "state: [[[[[[[[[[[[[[[]]]]]]]]]]]]]]]\n" ENDPOINTS ENTITIES),
	  "3:8: state: wants a map of settings, has a list\n" },
	{ "key twice",
	  TEXT(TOP "topology: u\n" ENDPOINTS ENTITIES),
	  "3:1: topology: duplicate key; the first is in line 2\n" },
	{ "endpoint twice",
	  TEXT(TOP ENDPOINT_A "  a: {driver: oops, connection: host=b}\n" FIELDS "      n: {type: text}\n" "    mappings:\n"
	     "      a: {table: ta}\n"),
	  "5:3: endpoints.a: duplicate key; the first is in line 4\n" },
	{ "key twice in quotes",
	  TEXT(TOP "limits: {rounds: 2, \"rounds\": 3}\n" ENDPOINTS ENTITIES),
	  "3:21: limits.rounds: duplicate key; the first is in line 3\n" },

	/* ---- the top */
	{ "nothing required is there",
	  TEXT("{}\n"),
	  "1:1: endpoints: missing\n"
	  "1:1: entities: missing\n"
	  "1:1: topology: missing\n"
	  "1:1: version: missing\n" },
	{ "unknown key near another",
	  TEXT(TOP "controll: {socket: /x/y}\n" ENDPOINTS ENTITIES),
	  "3:1: controll: unknown key; did you mean \"control\"?\n" },
	{ "unknown key far from all",
	  TEXT(TOP "zebra: 1\n" ENDPOINTS ENTITIES),
	  "3:1: zebra: unknown key\n" },
	{ "unknown key with a newline",
	  TEXT(TOP "\"a\\nb\": 1\n" ENDPOINTS ENTITIES),
	  "3:1: a\\nb: unknown key\n" },
	{ "version 2",
	  TEXT("version: 2\n" "topology: t\n" ENDPOINTS ENTITIES),
	  "1:10: version: this program reads version 1 of the topology file\n" },
	{ "version as text",
	  TEXT("version: \"1\"\n" "topology: t\n" ENDPOINTS ENTITIES),
	  "1:10: version: wants 1, has a quoted text\n" },
	{ "version 1.0",
	  TEXT("version: 1.0\n" "topology: t\n" ENDPOINTS ENTITIES),
	  "1:10: version: wants 1, has \"1.0\"\n" },
	{ "name with a blank",
	  TEXT("version: 1\n" "topology: t u\n" ENDPOINTS ENTITIES),
	  "2:11: topology: a name is letters, digits, _ and -, begins with a letter and has at most 63\n" },
	{ "name of 64",
	  TEXT("version: 1\n" "topology: tttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt\n" ENDPOINTS ENTITIES),
	  "2:11: topology: a name is letters, digits, _ and -, begins with a letter and has at most 63\n" },
	{ "name that begins with a digit",
	  TEXT("version: 1\n" "topology: 1t\n" ENDPOINTS ENTITIES),
	  "2:11: topology: a name is letters, digits, _ and -, begins with a letter and has at most 63\n" },
	{ "no is a name",
	  TEXT("version: 1\n" "topology: no\n" ENDPOINTS ENTITIES),
	  "" },
	{ "null as a name",
	  TEXT("version: 1\n" "topology: null\n" ENDPOINTS ENTITIES),
	  "2:11: topology: wants a name, has null; leave the setting out, or quote it if the word is meant\n" },
	{ "nothing as a name",
	  TEXT("version: 1\n" "topology:\n" ENDPOINTS ENTITIES),
	  "2:10: topology: wants a name, has nothing\n" },
	{ "a map as a name",
	  TEXT("version: 1\n" "topology: {a: b}\n" ENDPOINTS ENTITIES),
	  "2:11: topology: wants a name, has a map\n" },
	{ "a text where a map is wanted",
	  TEXT(TOP "state: unix:/x\n" ENDPOINTS ENTITIES),
	  "3:8: state: wants a map of settings, has \"unix:/x\"\n" },
	{ "a list where a map is wanted",
	  TEXT(TOP "stats: [socket]\n" ENDPOINTS ENTITIES),
	  "3:8: stats: wants a map of settings, has a list\n" },
	{ "relative socket",
	  TEXT(TOP "control: {socket: run/x.sock}\n" ENDPOINTS ENTITIES),
	  "3:19: control.socket: wants an absolute path, has \"run/x.sock\"\n" },
	{ "socket path too long",
	  TEXT(TOP
	     "control: {socket: /xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}\n"
	     ENDPOINTS ENTITIES),
	  "3:19: control.socket: longer than 107 bytes: the system allows no more for a socket\n" },
	{ "one socket for two",
	  TEXT(TOP "stats: {socket: /x/y}\n" "control: {socket: /x/y}\n" ENDPOINTS ENTITIES),
	  "4:19: control.socket: the stats and control sockets are the same\n" },
	{ "listen without port",
	  TEXT(TOP "stats: {listen: localhost}\n" ENDPOINTS ENTITIES),
	  "3:17: stats.listen: wants host:port such as 127.0.0.1:9899 or [::1]:9899, has \"localhost\"\n" },
	{ "listen on port 0",
	  TEXT(TOP "stats: {listen: \"localhost:0\"}\n" ENDPOINTS ENTITIES),
	  "3:17: stats.listen: the port is not 1 to 65535\n" },
	{ "listen on port 65536",
	  TEXT(TOP "stats: {listen: \"localhost:65536\"}\n" ENDPOINTS ENTITIES),
	  "3:17: stats.listen: the port is not 1 to 65535\n" },
	{ "listen on bare IPv6",
	  TEXT(TOP "stats: {listen: \"::1:80\"}\n" ENDPOINTS ENTITIES),
	  "3:17: stats.listen: wants host:port such as 127.0.0.1:9899 or [::1]:9899, has \"::1:80\"\n" },
	{ "redis by tls",
	  TEXT(TOP "state: {redis: 'rediss://u:secret@h'}\n" ENDPOINTS ENTITIES),
	  "3:16: state.redis: rediss:// (Redis by TLS) is not built yet in this version\n" },
	{ "redis of another kind",
	  TEXT(TOP "state: {redis: localhost:6379}\n" ENDPOINTS ENTITIES),
	  "3:16: state.redis: wants unix:/path or redis://host[:port][/db]\n" },
	{ "redis relative path",
	  TEXT(TOP "state: {redis: unix:redis.sock}\n" ENDPOINTS ENTITIES),
	  "3:16: state.redis: wants an absolute path after unix:\n" },
	{ "redis bad port",
	  TEXT(TOP "state: {redis: redis://h:99999}\n" ENDPOINTS ENTITIES),
	  "3:16: state.redis: the port after the host is not 1 to 65535\n" },
	{ "redis port 0",
	  TEXT(TOP "state: {redis: redis://h:0}\n" ENDPOINTS ENTITIES),
	  "3:16: state.redis: the port after the host is not 1 to 65535\n" },
	{ "redis bad database",
	  TEXT(TOP "state: {redis: redis://h/x}\n" ENDPOINTS ENTITIES),
	  "3:16: state.redis: after the host only /NUMBER, the database, is understood\n" },
	{ "redis without host",
	  TEXT(TOP "state: {redis: redis://}\n" ENDPOINTS ENTITIES),
	  "3:16: state.redis: wants a host, or a host:port\n" },
	{ "redis user without password",
	  TEXT(TOP "state: {redis: redis://u@h}\n" ENDPOINTS ENTITIES),
	  "3:16: state.redis: wants user:password@ or :password@ before the host\n" },
	{ "redis broken escape",
	  TEXT(TOP "state: {redis: 'redis://u:%zz@h'}\n" ENDPOINTS ENTITIES),
	  "3:16: state.redis: a % in user or password is written %25 and begins two hex digits\n" },
	{ "redis bad query",
	  TEXT(TOP "state: {redis: unix:///x?database=1}\n" ENDPOINTS ENTITIES),
	  "3:16: state.redis: after the path only ?db=NUMBER is understood\n" },
	{ "redis two passwords",
	  TEXT(TOP "state: {redis: 'redis://:p@h', password_file: /x}\n" ENDPOINTS ENTITIES),
	  "3:32: state.password_file: there is a password in state.redis already\n" },
	{ "keep without unit",
	  TEXT(TOP "journal: {keep: 30}\n" ENDPOINTS ENTITIES),
	  "3:17: journal.keep: wants a duration such as 500ms, 5s, 10m, 1h or 30d, has \"30\"\n" },
	{ "keep with a blank",
	  TEXT(TOP "journal: {keep: 30 d}\n" ENDPOINTS ENTITIES),
	  "3:17: journal.keep: wants a duration such as 500ms, 5s, 10m, 1h or 30d, has \"30 d\"\n" },
	{ "keep too short",
	  TEXT(TOP "journal: {keep: 59m}\n" ENDPOINTS ENTITIES),
	  "3:17: journal.keep: out of range: 1h to 3650d\n" },
	{ "keep negative",
	  TEXT(TOP "journal: {keep: -1d}\n" ENDPOINTS ENTITIES),
	  "3:17: journal.keep: wants a duration such as 500ms, 5s, 10m, 1h or 30d, has \"-1d\"\n" },
	{ "keep beyond 64 bits",
	  TEXT(TOP "journal: {keep: 9223372036854775808d}\n" ENDPOINTS ENTITIES),
	  "3:17: journal.keep: wants a duration such as 500ms, 5s, 10m, 1h or 30d, has \"9223372036854775808d\"\n" },
	{ "rows 0",
	  TEXT(TOP "limits: {batch_rows: 0}\n" ENDPOINTS ENTITIES),
	  "3:22: limits.batch_rows: out of range: 1 to 100000\n" },
	{ "rows 2^63",
	  TEXT(TOP "limits: {batch_rows: 9223372036854775808}\n" ENDPOINTS ENTITIES),
	  "3:22: limits.batch_rows: out of range: 1 to 100000\n" },
	{ "rows 2^64 and 5",
	  TEXT(TOP "limits: {batch_rows: 18446744073709551621}\n" ENDPOINTS ENTITIES),
	  "3:22: limits.batch_rows: out of range: 1 to 100000\n" },
	{ "rows -2^64",
	  TEXT(TOP "limits: {batch_rows: -18446744073709551616}\n" ENDPOINTS ENTITIES),
	  "3:22: limits.batch_rows: out of range: 1 to 100000\n" },
	{ "rows 1e999",
	  TEXT(TOP "limits: {batch_rows: 1e999}\n" ENDPOINTS ENTITIES),
	  "3:22: limits.batch_rows: wants an integer, has \"1e999\"\n" },
	{ "rows 0o7",
	  TEXT(TOP "limits: {batch_rows: 0o7}\n" ENDPOINTS ENTITIES),
	  "3:22: limits.batch_rows: wants an integer, has \"0o7\"\n" },
	{ "rows 007",
	  TEXT(TOP "limits: {batch_rows: 007}\n" ENDPOINTS ENTITIES),
	  "3:22: limits.batch_rows: wants an integer, has \"007\"\n" },
	{ "rows +5",
	  TEXT(TOP "limits: {batch_rows: +5}\n" ENDPOINTS ENTITIES),
	  "3:22: limits.batch_rows: wants an integer, has \"+5\"\n" },
	{ "rows 1_000",
	  TEXT(TOP "limits: {batch_rows: 1_000}\n" ENDPOINTS ENTITIES),
	  "3:22: limits.batch_rows: wants an integer, has \"1_000\"\n" },
	{ "rows in quotes",
	  TEXT(TOP "limits: {batch_rows: \"5\"}\n" ENDPOINTS ENTITIES),
	  "3:22: limits.batch_rows: wants an integer, has a quoted text\n" },
	{ "rows true",
	  TEXT(TOP "limits: {batch_rows: true}\n" ENDPOINTS ENTITIES),
	  "3:22: limits.batch_rows: wants an integer, has \"true\"\n" },
	{ "bytes in KB",
	  TEXT(TOP "limits: {batch_bytes: 64KB}\n" ENDPOINTS ENTITIES),
	  "3:23: limits.batch_bytes: wants a size such as 64KiB, 8MiB or 1GiB, has \"64KB\"\n" },
	{ "bytes too few",
	  TEXT(TOP "limits: {batch_bytes: 64}\n" ENDPOINTS ENTITIES),
	  "3:23: limits.batch_bytes: out of range: 64KiB to 1GiB\n" },

	/* ---- endpoints */
	{ "no endpoints",
	  TEXT(TOP "endpoints: {}\n" ENTITIES),
	  "3:12: endpoints: wants at least one endpoint\n" },
	{ "endpoints as a list",
	  TEXT(TOP "endpoints: [a, b]\n" ENTITIES),
	  "3:12: endpoints: wants a map of endpoints, has a list\n" },
	{ "endpoint is nothing",
	  TEXT(TOP ENDPOINT_A "  b:\n" ENTITIES),
	  "5:5: endpoints.b: wants the settings of an endpoint, has nothing\n" },
	{ "endpoint name with a dot",
	  TEXT(TOP ENDPOINT_A "  b.c: {driver: postgres, connection: host=b}\n" FIELDS "      n: {type: text}\n"
	     "    mappings:\n" "      a: {table: ta}\n"),
	  "5:3: endpoints.b.c: a name is letters, digits, _ and -, begins with a letter and has at most 63\n" },
	{ "driver missing",
	  TEXT(TOP ENDPOINT_A "  b: {connection: host=b}\n" ENTITIES),
	  "5:3: endpoints.b.driver: missing\n" },
	{ "driver unknown",
	  TEXT(TOP ENDPOINT_A "  b: {driver: postgre, connection: host=b}\n" ENTITIES),
	  "5:15: endpoints.b.driver: wants postgres, mariadb, file, http or queue, has \"postgre\"; did you mean \"postgres\"?\n" },
	{ "driver mariadb",
	  TEXT(TOP ENDPOINT_A "  b: {driver: mariadb, path: /x, ingest: /in/x}\n" ENTITIES),
	  "5:15: endpoints.b.driver: driver mariadb is not built yet in this version\n" },
	{ "driver file",
	  TEXT(TOP ENDPOINT_A "  b: {driver: file, path: /x, ingest: /in/x}\n" ENTITIES),
	  "5:15: endpoints.b.driver: driver file is not built yet in this version\n" },
	{ "driver http",
	  TEXT(TOP ENDPOINT_A "  b: {driver: http, path: /x, ingest: /in/x}\n" ENTITIES),
	  "5:15: endpoints.b.driver: driver http is not built yet in this version\n" },
	{ "driver queue",
	  TEXT(TOP ENDPOINT_A "  b: {driver: queue, path: /x, ingest: /in/x}\n" ENTITIES),
	  "5:15: endpoints.b.driver: driver queue is not built yet in this version\n" },
	{ "connection missing",
	  TEXT(TOP ENDPOINT_A "  b: {driver: postgres}\n" ENTITIES),
	  "5:3: endpoints.b.connection: missing\n" },
	{ "connection empty",
	  TEXT(TOP ENDPOINT_A "  b: {driver: postgres, connection: ''}\n" ENTITIES),
	  "5:37: endpoints.b.connection: wants text, has an empty text\n" },
	{ "connection that the driver does not understand",
	  TEXT(TOP ENDPOINT_A "  b: {driver: postgres, connection: hst=b}\n" ENTITIES),
	  "5:37: endpoints.b.connection: what is this?\n" },
	{ "connection as a map",
	  TEXT(TOP ENDPOINT_A "  b: {driver: postgres, connection: {password: x}}\n" ENTITIES),
	  "5:37: endpoints.b.connection: wants text, has a map\n" },
	{ "capture wal",
	  TEXT(TOP ENDPOINT_B "    capture: wal\n" ENTITIES),
	  "8:14: endpoints.b.capture: \"wal\" is not built yet in this version\n" },
	{ "capture unknown",
	  TEXT(TOP ENDPOINT_B "    capture: pol\n" ENTITIES),
	  "8:14: endpoints.b.capture: wants poll, listen or wal, has \"pol\"; did you mean \"poll\"?\n" },
	{ "ingest",
	  TEXT(TOP ENDPOINT_B "    ingest: /in/x\n" ENTITIES),
	  "8:5: endpoints.b.ingest: is not built yet in this version\n" },
	{ "notify no",
	  TEXT(TOP ENDPOINT_B "    notify: no\n" ENTITIES),
	  "8:13: endpoints.b.notify: wants false or true, has \"no\"\n" },
	{ "notify in quotes",
	  TEXT(TOP ENDPOINT_B "    notify: \"true\"\n" ENTITIES),
	  "8:13: endpoints.b.notify: wants false or true, has a quoted text\n" },
	{ "install true",
	  TEXT(TOP ENDPOINT_B "    install: true\n" ENTITIES),
	  "8:14: endpoints.b.install: wants manual or auto, has \"true\"\n" },
	{ "interval without unit",
	  TEXT(TOP ENDPOINT_B "    interval: 1\n" ENTITIES),
	  "8:15: endpoints.b.interval: wants a duration such as 500ms, 5s, 10m, 1h or 30d, has \"1\"\n" },
	{ "interval null",
	  TEXT(TOP ENDPOINT_B "    interval: ~\n" "    capture: null\n" ENTITIES),
	  "8:15: endpoints.b.interval: wants a duration such as 500ms, 5s, 10m, 1h or 30d, has null; leave the setting out, or quote it if the word is meant\n"
	  "9:14: endpoints.b.capture: wants poll, listen or wal, has null; leave the setting out, or quote it if the word is meant\n" },
	{ "interval too short",
	  TEXT(TOP ENDPOINT_B "    interval: 1ms\n" ENTITIES),
	  "8:15: endpoints.b.interval: out of range: 10ms to 1d\n" },
	{ "sweep too short",
	  TEXT(TOP ENDPOINT_B "    sweep: 1ms\n" ENTITIES),
	  "8:12: endpoints.b.sweep: out of range: 100ms to 365d, or 0s for never\n" },
	{ "sweep never",
	  TEXT(TOP ENDPOINT_B "    sweep: 0s\n" ENTITIES),
	  "" },
	{ "connections 33",
	  TEXT(TOP ENDPOINT_B "    connections: 33\n" ENTITIES),
	  "8:18: endpoints.b.connections: out of range: 1 to 32\n" },
	{ "several at once in order",
	  TEXT(TOP ENDPOINT_B "    interval: x\n" "    capture: wal\n" "    conections: 3\n" ENTITIES),
	  "8:15: endpoints.b.interval: wants a duration such as 500ms, 5s, 10m, 1h or 30d, has \"x\"\n"
	  "9:14: endpoints.b.capture: \"wal\" is not built yet in this version\n"
	  "10:5: endpoints.b.conections: unknown key; did you mean \"connections\"?\n" },

	/* ---- entities and fields */
	{ "no entities",
	  TEXT(TOP ENDPOINTS "entities: {}\n"),
	  "6:11: entities: wants at least one entity\n" },
	{ "entity is nothing",
	  TEXT(TOP ENDPOINTS "entities:\n" "  c:\n"),
	  "7:5: entities.c: wants the settings of an entity, has nothing\n" },
	{ "all missing in an entity",
	  TEXT(TOP ENDPOINTS "entities:\n" "  c: {}\n"),
	  "7:3: entities.c.fields: missing\n"
	  "7:3: entities.c.key: missing\n"
	  "7:3: entities.c.mappings: missing\n" },
	{ "no fields",
	  TEXT(TOP ENDPOINTS "entities:\n" "  c:\n" "    key: [k]\n" "    fields: {}\n" MAPPINGS),
	  "9:13: entities.c.fields: wants at least one field\n" },
	{ "key of no field",
	  TEXT(TOP ENDPOINTS "entities:\n" "  c:\n" "    key: [kk]\n" "    fields:\n" "      k: {type: text}\n"
	     "      n: {type: text}\n" MAPPINGS),
	  "8:11: entities.c.key[0]: no field \"kk\"; did you mean \"k\"?\n" },
	{ "key as text",
	  TEXT(TOP ENDPOINTS "entities:\n" "  c:\n" "    key: k\n" "    fields:\n" "      k: {type: text}\n"
	     "      n: {type: text}\n" MAPPINGS),
	  "8:10: entities.c.key: wants a list of fields such as [email], has \"k\"\n" },
	{ "key empty",
	  TEXT(TOP ENDPOINTS "entities:\n" "  c:\n" "    key: []\n" "    fields:\n" "      k: {type: text}\n"
	     "      n: {type: text}\n" MAPPINGS),
	  "8:10: entities.c.key: wants at least one field\n" },
	{ "key twice in the key",
	  TEXT(TOP ENDPOINTS "entities:\n" "  c:\n" "    key: [k, k]\n" "    fields:\n" "      k: {type: text}\n"
	     "      n: {type: text}\n" MAPPINGS),
	  "8:14: entities.c.key[1]: field \"k\" is named twice\n" },
	{ "key of nine",
	  TEXT(TOP ENDPOINTS "entities:\n" "  c:\n" "    key: [f0, f1, f2, f3, f4, f5, f6, f7, f8]\n" "    fields:\n"
	     "      f0: {type: text}\n" "      f1: {type: text}\n" "      f2: {type: text}\n" "      f3: {type: text}\n"
	     "      f4: {type: text}\n" "      f5: {type: text}\n" "      f6: {type: text}\n" "      f7: {type: text}\n"
	     "      f8: {type: text}\n" MAPPINGS),
	  "8:43: entities.c.key[8]: more than 8 fields\n" },
	{ "key is a reference",
	  TEXT(TOP ENDPOINTS "entities:\n" "  p:\n" "    key: [k]\n" "    fields: {k: {type: text}}\n"
	     "    mappings: {a: {table: p}, b: {table: p}}\n" "  c:\n" "    key: [k, p]\n"
	     "    fields: {k: {type: text}, p: {type: reference, entity: p}}\n"
	     "    mappings: {a: {table: ta}, b: {table: tb}}\n"),
	  "12:14: entities.c.key[1]: a reference in a key is not built yet in this version\n" },
	{ "field is a word",
	  TEXT(TOP ENDPOINTS FIELDS "      n: text\n" MAPPINGS),
	  "11:10: entities.c.fields.n: wants the settings of a field, such as {type: text}, has \"text\"\n" },
	{ "type missing",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {clean: [trim]}\n" MAPPINGS),
	  "11:7: entities.c.fields.n.type: missing\n" },
	{ "type unknown",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: txt}\n" MAPPINGS),
	  "11:17: entities.c.fields.n.type: wants text, integer, decimal, boolean, timestamp, date, uuid, json, bytes or reference, has \"txt\"; did you mean \"text\"?\n" },
	{ "reference to nobody",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: reference, entity: cc}\n" MAPPINGS),
	  "11:36: entities.c.fields.n.entity: no entity \"cc\"; did you mean \"c\"?\n" },
	{ "reference without entity",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: reference}\n" MAPPINGS),
	  "11:7: entities.c.fields.n.entity: missing: which entity does the reference point to?\n" },
	{ "entity without reference",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, entity: c}\n" MAPPINGS),
	  "11:23: entities.c.fields.n.entity: only a field of type reference points to an entity\n" },
	{ "reference to a place without mapping",
	  TEXT(TOP ENDPOINTS "entities:\n" "  p:\n" "    key: [k]\n" "    fields: {k: {type: text}}\n"
	     "    mappings: {a: {table: p}}\n" "  c:\n" "    key: [k]\n"
	     "    fields: {k: {type: text}, p: {type: reference, entity: p}}\n"
	     "    mappings: {a: {table: ta}, b: {table: tb}}\n"),
	  "14:32: entities.c.mappings.b: field \"p\" points to entity \"p\", which has no mapping at this endpoint\n" },
	{ "reference to an entity with a misspelt mapping",
	  TEXT(TOP ENDPOINTS "entities:\n" "  p:\n" "    key: [k]\n" "    fields: {k: {type: text}}\n"
	     "    mappings: {a: {table: p}, bb: {table: p}}\n" "  c:\n" "    key: [k]\n"
	     "    fields: {k: {type: text}, p: {type: reference, entity: p}}\n"
	     "    mappings: {a: {table: ta}, b: {table: tb}}\n"),
	  "10:31: entities.p.mappings.bb: no endpoint of this name; did you mean \"b\"?\n" },
	{ "a circle of two",
	  TEXT(TOP ENDPOINTS "entities:\n" "  p:\n" "    key: [k]\n"
	     "    fields: {k: {type: text}, c: {type: reference, entity: c}}\n"
	     "    mappings: {a: {table: p}, b: {table: p}}\n" "  c:\n" "    key: [k]\n"
	     "    fields: {k: {type: text}, p: {type: reference, entity: p}}\n"
	     "    mappings: {a: {table: ta}, b: {table: tb}}\n"),
	  "9:60: entities.p.fields.c.entity: entities that point to each other in a circle are not built yet in this version\n"
	  "13:60: entities.c.fields.p.entity: entities that point to each other in a circle are not built yet in this version\n" },
	{ "a circle of three",
	  TEXT(TOP ENDPOINTS "entities:\n"
	     "  p: {key: [k], fields: {k: {type: text}, r: {type: reference, entity: q}}, mappings: {a: {table: p}, b: {table: p}}}\n"
	     "  q: {key: [k], fields: {k: {type: text}, r: {type: reference, entity: r}}, mappings: {a: {table: q}, b: {table: q}}}\n"
	     "  r: {key: [k], fields: {k: {type: text}, r: {type: reference, entity: p}}, mappings: {a: {table: r}, b: {table: r}}}\n"),
	  "7:72: entities.p.fields.r.entity: entities that point to each other in a circle are not built yet in this version\n"
	  "8:72: entities.q.fields.r.entity: entities that point to each other in a circle are not built yet in this version\n"
	  "9:72: entities.r.fields.r.entity: entities that point to each other in a circle are not built yet in this version\n" },
	{ "itself is fine",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: reference, entity: c}\n" MAPPINGS),
	  "" },
	{ "clean title",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, clean: [trim, title]}\n" MAPPINGS),
	  "11:37: entities.c.fields.n.clean[1]: cleaning step title is not built yet in this version\n" },
	{ "clean nfc",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, clean: [trim, nfc]}\n" MAPPINGS),
	  "11:37: entities.c.fields.n.clean[1]: cleaning step nfc is not built yet in this version\n" },
	{ "clean digits",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, clean: [trim, digits]}\n" MAPPINGS),
	  "11:37: entities.c.fields.n.clean[1]: cleaning step digits is not built yet in this version\n" },
	{ "clean phone",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, clean: [trim, phone]}\n" MAPPINGS),
	  "11:37: entities.c.fields.n.clean[1]: cleaning step phone is not built yet in this version\n" },
	{ "clean unknown",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, clean: [trimm]}\n" MAPPINGS),
	  "11:31: entities.c.fields.n.clean[0]: no cleaning step \"trimm\"; did you mean \"trim\"?\n" },
	{ "clean as a word",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, clean: trim}\n" MAPPINGS),
	  "11:30: entities.c.fields.n.clean: wants a list of cleaning steps such as [trim, lower], has \"trim\"\n" },
	{ "clean map without map",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, clean: [map]}\n" MAPPINGS),
	  "11:31: entities.c.fields.n.clean[0]: map is written {map: {from: to}}\n" },
	{ "clean map of a list",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, clean: [{map: [a]}]}\n" MAPPINGS),
	  "11:37: entities.c.fields.n.clean[0].map: wants a map from one text to another, has a list\n" },
	{ "clean trim with something",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, clean: [{trim: 1}]}\n" MAPPINGS),
	  "11:31: entities.c.fields.n.clean[0]: trim takes nothing: write the word alone\n" },
	{ "clean two in one",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, clean: [{trim: 1, lower: 2}]}\n" MAPPINGS),
	  "11:31: entities.c.fields.n.clean[0]: wants a cleaning step, has a map\n" },
	{ "clean default of another type",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: integer, clean: [{default: x}]}\n" MAPPINGS),
	  "11:44: entities.c.fields.n.clean[0].default: \"x\" is not of type integer\n" },
	{ "clean lower of integer",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: integer, clean: [lower]}\n" MAPPINGS),
	  "11:34: entities.c.fields.n.clean[0]: cleaning step lower does not fit type integer\n" },
	{ "clean of a reference",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: reference, entity: c, clean: [empty-to-null]}\n" MAPPINGS),
	  "11:47: entities.c.fields.n.clean[0]: cleaning of a reference is not built yet in this version\n" },
	{ "check email",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, check: [email]}\n" MAPPINGS),
	  "11:31: entities.c.fields.n.check[0]: check email is not built yet in this version\n" },
	{ "check phone",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, check: [phone]}\n" MAPPINGS),
	  "11:31: entities.c.fields.n.check[0]: check phone is not built yet in this version\n" },
	{ "check url",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, check: [url]}\n" MAPPINGS),
	  "11:31: entities.c.fields.n.check[0]: check url is not built yet in this version\n" },
	{ "check {match: x}",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, check: [{match: x}]}\n" MAPPINGS),
	  "11:31: entities.c.fields.n.check[0]: check match is not built yet in this version\n" },
	{ "check unknown",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, check: [requird]}\n" MAPPINGS),
	  "11:31: entities.c.fields.n.check[0]: no check \"requird\"; did you mean \"required\"?\n" },
	{ "check length alone",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, check: [length]}\n" MAPPINGS),
	  "11:31: entities.c.fields.n.check[0]: length is written {length: [...]}\n" },
	{ "check length of one",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, check: [{length: [1]}]}\n" MAPPINGS),
	  "11:40: entities.c.fields.n.check[0].length: wants two values, [least, most] characters, has 1\n" },
	{ "check length upside down",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, check: [{length: [5, 1]}]}\n" MAPPINGS),
	  "11:40: entities.c.fields.n.check[0].length: the least is more than the most\n" },
	{ "check length of words",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, check: [{length: [a, -1]}]}\n" MAPPINGS),
	  "11:41: entities.c.fields.n.check[0].length[0]: wants an integer or null, has \"a\"\n"
	  "11:44: entities.c.fields.n.check[0].length[1]: out of range: a length is at least 0\n" },
	{ "check length of a number",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: integer, check: [{length: [1, 2]}]}\n" MAPPINGS),
	  "11:34: entities.c.fields.n.check[0]: check length does not fit type integer\n" },
	{ "check range of text",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, check: [{range: [1, 2]}]}\n" MAPPINGS),
	  "11:31: entities.c.fields.n.check[0]: check range does not fit type text\n" },
	{ "check range upside down",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: decimal, check: [{range: [10, 9.5]}]}\n" MAPPINGS),
	  "11:42: entities.c.fields.n.check[0].range: the low end is above the high end\n" },
	{ "check range of a date that is none",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: date, check: [{range: [2020-02-30, null]}]}\n" MAPPINGS),
	  "11:40: entities.c.fields.n.check[0].range[0]: \"2020-02-30\" is not of type date\n" },
	{ "check one-of nothing",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, check: [{one-of: []}]}\n" MAPPINGS),
	  "11:40: entities.c.fields.n.check[0].one-of: wants at least one value\n" },
	{ "check one-of null",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, check: [{one-of: [a, null]}]}\n" MAPPINGS),
	  "11:44: entities.c.fields.n.check[0].one-of[1]: wants a value, has null; leave the setting out, or quote it if the word is meant\n" },
	{ "check of a reference",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: reference, entity: c, check: [required]}\n" MAPPINGS),
	  "11:47: entities.c.fields.n.check[0]: a check of a reference is not built yet in this version\n" },
	{ "on_invalid unknown",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, on_invalid: parked}\n" MAPPINGS),
	  "11:35: entities.c.fields.n.on_invalid: wants park, null or flag, has \"parked\"; did you mean \"park\"?\n" },
	{ "private 1",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text, private: 1}\n" MAPPINGS),
	  "11:32: entities.c.fields.n.private: wants false or true, has \"1\"\n" },

	/* ---- conflicts and limits */
	{ "rule mirror of nobody",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "      m: {type: text}\n" "    conflict:\n"
	     "      rule: mirror\n" MAPPINGS),
	  "14:13: entities.c.conflict.rule: mirror needs a priority list: its first endpoint is the one that is mirrored\n" },
	{ "field rule mirror of a target",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    conflict:\n" "      priority: [b, a]\n"
	     "      fields: {n: mirror}\n" "    mappings:\n" "      a: {table: ta}\n" "      b: {table: tb, role: target}\n"),
	  "14:19: entities.c.conflict.fields.n: endpoint \"b\" is to be mirrored, and is a target: it is never read\n" },
	{ "group under newest-filled",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "      m: {type: text}\n" "    conflict:\n"
	     "      rule: newest-filled\n" "      groups: [[n, m]]\n" MAPPINGS),
	  "14:13: entities.c.conflict.rule: field \"n\" is in a group: newest-filled is for fields of their own\n" },
	{ "group with a member newest-filled",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "      m: {type: text}\n" "    conflict:\n"
	     "      groups: [[n, m]]\n" "      fields: {m: newest-filled}\n" MAPPINGS),
	  "15:19: entities.c.conflict.fields.m: field \"n\" is in a group: newest-filled is for fields of their own\n" },
	{ "rule max of json",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "      m: {type: json}\n" "    conflict:\n" "      rule: max\n"
	     MAPPINGS),
	  "14:13: entities.c.conflict.rule: field \"m\" is json: max is for text, integer, decimal, boolean, timestamp and date\n" },
	{ "rule min in a group",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "      m: {type: text}\n" "    conflict:\n"
	     "      groups: [[n, m]]\n" "      fields: {m: min}\n" MAPPINGS),
	  "15:19: entities.c.conflict.fields.m: field \"n\" is in a group: min is for fields of their own\n" },
	{ "rule max of a key",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "      m: {type: text}\n" "    conflict:\n"
	     "      fields: {k: max}\n" MAPPINGS),
	  "14:19: entities.c.conflict.fields.k: field \"k\" is of the key: max is for other fields\n" },
	{ "rule add of text",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "      m: {type: integer}\n" "    conflict:\n" "      rule: add\n"
	     MAPPINGS),
	  "14:13: entities.c.conflict.rule: field \"n\" is text: add is for integer and decimal\n" },
	{ "rule add of what nobody knows",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: txet}\n" "      m: {type: integer}\n" "    conflict:\n" "      fields: {n: add}\n"
	     MAPPINGS),
	  "11:17: entities.c.fields.n.type: wants text, integer, decimal, boolean, timestamp, date, uuid, json, bytes or reference, "
	  "has \"txet\"; did you mean \"text\"?\n" },
	{ "rule manual of a key",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "      m: {type: text}\n" "    conflict:\n"
	     "      fields: {k: manual}\n" MAPPINGS),
	  "14:19: entities.c.conflict.fields.k: field \"k\" is of the key: manual is for other fields\n" },
	{ "rule unknown",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "      m: {type: text}\n" "    conflict:\n"
	     "      rule: last-write-wins\n" MAPPINGS),
	  "14:13: entities.c.conflict.rule: wants last-writer-wins, source-priority, mirror, newest-filled, max, min, add or manual, has \"last-write-wins\"; did you mean \"last-writer-wins\"?\n" },
	{ "deletes unknown",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "      m: {type: text}\n" "    conflict:\n"
	     "      deletes: never\n" MAPPINGS),
	  "14:16: entities.c.conflict.deletes: wants update-wins or delete-wins, has \"never\"\n" },
	{ "priority of nobody",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "      m: {type: text}\n" "    conflict:\n"
	     "      priority: [a, bb]\n" MAPPINGS),
	  "14:21: entities.c.conflict.priority[1]: no endpoint \"bb\"; did you mean \"b\"?\n" },
	{ "priority twice",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "      m: {type: text}\n" "    conflict:\n"
	     "      priority: [a, a]\n" MAPPINGS),
	  "14:21: entities.c.conflict.priority[1]: endpoint \"a\" is named twice\n" },
	{ "priority of a misspelt mapping",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    conflict: {priority: [b, a]}\n" "    mappings:\n"
	     "      a: {table: ta}\n" "      bb: {table: tb}\n"),
	  "15:7: entities.c.mappings.bb: no endpoint of this name; did you mean \"b\"?\n" },
	{ "priority without mapping",
	  TEXT(TOP ENDPOINTS "entities:\n" "  c:\n" "    key: [k]\n" "    fields: {k: {type: text}}\n"
	     "    conflict: {priority: [b, a]}\n" "    mappings: {a: {table: ta}}\n"),
	  "10:27: entities.c.conflict.priority[0]: endpoint \"b\" has no mapping of this entity\n" },
	{ "field rule of nobody",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "      m: {type: text}\n" "    conflict:\n"
	     "      fields: {nn: source-priority}\n" MAPPINGS),
	  "14:16: entities.c.conflict.fields.nn: no field of this name; did you mean \"n\"?\n" },
	{ "group of one",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "      m: {type: text}\n" "    conflict:\n"
	     "      groups: [[n]]\n" MAPPINGS),
	  "14:16: entities.c.conflict.groups[0]: a group has at least two fields\n" },
	{ "group of nobody",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "      m: {type: text}\n" "    conflict:\n"
	     "      groups: [[n, x]]\n" MAPPINGS),
	  "14:20: entities.c.conflict.groups[0][1]: no field \"x\"\n" },
	{ "groups overlap",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "      m: {type: text}\n" "    conflict:\n"
	     "      groups: [[n, k], [n, m]]\n" MAPPINGS),
	  "14:24: entities.c.conflict.groups[1]: field \"n\" is already in another group\n" },
	{ "groups flat",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "      m: {type: text}\n" "    conflict:\n"
	     "      groups: [n, m]\n" MAPPINGS),
	  "14:16: entities.c.conflict.groups[0]: wants a list of fields, has \"n\"\n"
	  "14:19: entities.c.conflict.groups[1]: wants a list of fields, has \"m\"\n" },
	{ "group with two rules",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "      m: {type: text}\n" "    conflict:\n"
	     "      fields: {n: source-priority, m: last-writer-wins}\n" "      groups: [[n, m]]\n" MAPPINGS),
	  "14:39: entities.c.conflict.fields.m: another field of its group has rule source-priority: a group has one rule\n" },
	{ "unknown limit",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    limits: {mass_delet: 2%}\n" MAPPINGS),
	  "12:14: entities.c.limits.mass_delet: unknown key; did you mean \"mass_delete\"?\n" },
	{ "mass_delete without per cent",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    limits: {mass_delete: 2}\n" MAPPINGS),
	  "12:27: entities.c.limits.mass_delete: wants a percentage such as 2% or 0.5%, has \"2\"\n" },
	{ "mass_delete over all",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    limits: {mass_delete: 100.1%}\n" MAPPINGS),
	  "12:27: entities.c.limits.mass_delete: out of range: 0% to 100%\n" },
	{ "mass_delete just over all",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    limits: {mass_delete: 100.0001%}\n" MAPPINGS),
	  "12:27: entities.c.limits.mass_delete: out of range: 0% to 100%\n" },
	{ "mass_delete of all",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    limits: {mass_delete: 100%}\n" MAPPINGS),
	  "" },
	{ "mass_delete too fine",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    limits: {mass_delete: 0.00001%}\n" MAPPINGS),
	  "12:27: entities.c.limits.mass_delete: wants a percentage such as 2% or 0.5%, has \"0.00001%\"\n" },
	{ "entity verify",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    verify: every 10s\n" MAPPINGS),
	  "12:13: entities.c.verify: wants a duration such as 24h or every 24h, at least 1m, or 0s for never, has \"every 10s\"\n" },

	/* ---- mappings */
	{ "no mapping",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings: {}\n"),
	  "12:15: entities.c.mappings: an entity without a mapping is nowhere: name at least one endpoint\n" },
	{ "mapping of nobody",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta}\n"
	     "      bb: {table: tb}\n"),
	  "14:7: entities.c.mappings.bb: no endpoint of this name; did you mean \"b\"?\n" },
	{ "mapping is a table",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: ta\n" "      b: {table: tb}\n"),
	  "13:10: entities.c.mappings.a: wants the settings of a mapping, such as {table: crm.accounts}, has \"ta\"\n" },
	{ "table missing",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {role: source}\n"
	     "      b: {table: tb}\n"),
	  "13:7: entities.c.mappings.a.table: missing\n" },
	{ "table in three parts",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: a.b.c}\n"
	     "      b: {table: tb}\n"),
	  "13:18: entities.c.mappings.a.table: \"a.b.c\" is not a table's name: write [schema.]table, each of 1 to 63 bytes, a part with dots or quotes in double quotes\n" },
	{ "table with an empty part",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: .b}\n"
	     "      b: {table: tb}\n"),
	  "13:18: entities.c.mappings.a.table: \".b\" is not a table's name: write [schema.]table, each of 1 to 63 bytes, a part with dots or quotes in double quotes\n" },
	{ "table with half a quote",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: 'a\"b'}\n"
	     "      b: {table: tb}\n"),
	  "13:18: entities.c.mappings.a.table: \"a\\\"b\" is not a table's name: write [schema.]table, each of 1 to 63 bytes, a part with dots or quotes in double quotes\n" },
	{ "table with a long part",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxy.t}\n"
	     "      b: {table: tb}\n"),
	  "13:18: entities.c.mappings.a.table: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\" is not a table's name: write [schema.]table, each of 1 to 63 bytes, a part with dots or quotes in double quotes\n" },
	{ "table as long as they go",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: '\"a.\"\"b\".xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'}\n"
	     "      b: {table: tb}\n"),
	  "" },
	{ "soft delete by the cursor",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta, modified: m, delete: {soft: {column: m}}}\n"
	     "      b: {table: tb}\n"),
	  "13:59: entities.c.mappings.a.delete.soft.column: column \"m\" is also modified: every row that has one would count as deleted\n" },
	{ "soft delete by the id",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta, id: i, delete: {column: i}}\n"
	     "      b: {table: tb}\n"),
	  "13:46: entities.c.mappings.a.delete.column: column \"i\" is also id: every row that has one would count as deleted\n" },
	{ "cursor is the id",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta, id: i, modified: i}\n"
	     "      b: {table: tb}\n"),
	  "13:39: entities.c.mappings.a.modified: column \"i\" is also the id: an id does not tell when a row was changed\n" },
	{ "filter on cursor and id",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta, id: i, modified: m, where: {i: 1, m: null}}\n"
	     "      b: {table: tb}\n"),
	  "13:50: entities.c.mappings.a.where.i: column \"i\" is also id, which no filter can hold at one value\n"
	  "13:56: entities.c.mappings.a.where.m: column \"m\" is also modified, which no filter can hold at one value\n" },
	{ "filter on what marks a deleted row",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta, delete: {soft: {column: off}}, where: {off: null}}\n"
	     "      b: {table: tb}\n"),
	  "" },
	{ "table null",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ~}\n"
	     "      b: {table: tb}\n"),
	  "13:18: entities.c.mappings.a.table: wants text, has null; leave the setting out, or quote it if the word is meant\n" },
	{ "column of 64",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta}\n" "      b:\n"
	     "        table: tb\n" "        id: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n"),
	  "16:13: entities.c.mappings.b.id: longer than 63 bytes\n" },
	{ "role unknown",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta}\n" "      b:\n"
	     "        table: tb\n" "        role: sink\n"),
	  "16:15: entities.c.mappings.b.role: wants both, source or target, has \"sink\"\n" },
	{ "no source",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta, role: target}\n"
	     "      b: {table: tb, role: target}\n"),
	  "12:5: entities.c.mappings: no endpoint is a source: nothing would ever be read\n" },
	{ "no target",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta, role: source}\n"
	     "      b: {table: tb, role: source}\n"),
	  "12:5: entities.c.mappings: no endpoint is a target: nothing would ever be written\n" },
	{ "column of no field",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta}\n" "      b:\n"
	     "        table: tb\n" "        columns: {nme: x}\n"),
	  "16:19: entities.c.mappings.b.columns.nme: no field of this name\n" },
	{ "column null",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta}\n" "      b:\n"
	     "        table: tb\n" "        columns: {n: null}\n"),
	  "16:22: entities.c.mappings.b.columns.n: a field that this endpoint does not have is not built yet in this version\n" },
	{ "key not mapped",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta}\n" "      b:\n"
	     "        table: tb\n" "        columns: {k: null}\n"),
	  "16:22: entities.c.mappings.b.columns.k: a key field must have a column at every endpoint\n" },
	{ "field mapped twice",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta}\n" "      b:\n"
	     "        table: tb\n" "        columns: {n: x, n: y}\n"),
	  "16:25: entities.c.mappings.b.columns.n: duplicate key; the first is in line 16\n" },
	{ "two fields, one column",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta}\n" "      b:\n"
	     "        table: tb\n" "        columns: {n: k}\n"),
	  "16:22: entities.c.mappings.b.columns.n: fields \"k\" and \"n\" have the same column \"k\"\n" },
	{ "two fields, one other column",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta}\n" "      b:\n"
	     "        table: tb\n" "        columns: {k: x, n: x}\n"),
	  "16:28: entities.c.mappings.b.columns.n: fields \"k\" and \"n\" have the same column \"x\"\n" },
	{ "modified is a field",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta}\n" "      b:\n"
	     "        table: tb\n" "        modified: n\n"),
	  "16:19: entities.c.mappings.b.modified: column \"n\" is also that of field \"n\": every write would change the field, without end\n" },
	{ "delete unknown",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta}\n" "      b:\n"
	     "        table: tb\n" "        delete: sof\n"),
	  "16:17: entities.c.mappings.b.delete: wants hard, ignore or {soft: {column: ..., set: ...}}, has \"sof\"\n" },
	{ "delete soft as a word",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta}\n" "      b:\n"
	     "        table: tb\n" "        delete: soft\n"),
	  "16:17: entities.c.mappings.b.delete: wants hard, ignore or {soft: {column: ..., set: ...}}, has \"soft\"\n" },
	{ "delete soft without column",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta}\n" "      b:\n"
	     "        table: tb\n" "        delete: {soft: {set: now}}\n"),
	  "16:18: entities.c.mappings.b.delete.soft.column: missing\n" },
	{ "delete soft with more",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta}\n" "      b:\n"
	     "        table: tb\n" "        delete: {soft: {column: d, sett: now}, hard: 1}\n"),
	  "16:36: entities.c.mappings.b.delete.soft.sett: unknown key; did you mean \"set\"?\n"
	  "16:48: entities.c.mappings.b.delete.hard: unknown key\n" },
	{ "delete column is a field",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta}\n" "      b:\n"
	     "        table: tb\n" "        delete: {column: n}\n"),
	  "16:26: entities.c.mappings.b.delete.column: column \"n\" is also that of field \"n\": every write would change the field, without end\n" },
	{ "where of a list",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta}\n" "      b:\n"
	     "        table: tb\n" "        where: {x: [1, 2]}\n"),
	  "16:20: entities.c.mappings.b.where.x: wants a text, a number, true, false or null, has a list\n" },
	{ "where as SQL",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta}\n" "      b:\n"
	     "        table: tb\n" "        where: x = 1\n"),
	  "16:16: entities.c.mappings.b.where: wants a map from columns to values, has \"x = 1\"\n" },
	{ "where of nothing",
	  TEXT(TOP ENDPOINTS FIELDS "      n: {type: text}\n" "    mappings:\n" "      a: {table: ta}\n" "      b:\n"
	     "        table: tb\n" "        where: {x: }\n"),
	  "16:20: entities.c.mappings.b.where.x: wants a text, a number, true, false or null, has nothing\n" },
	{ "poll without modified",
	  TEXT(TOP ENDPOINT_A "  b: {driver: postgres, connection: host=b, capture: poll}\n" ENTITIES),
	  "14:7: entities.c.mappings.b.modified: missing: capture poll finds changes by this column\n" },
	{ "poll of a target needs none",
	  TEXT(TOP ENDPOINT_A "  b: {driver: postgres, connection: host=b, capture: poll}\n" FIELDS "      n: {type: text}\n"
	     "    mappings:\n" "      a: {table: ta}\n" "      b: {table: tb, role: target}\n"),
	  "" },
	{ "linked to itself",
	  TEXT(TOP ENDPOINT_A "  b: {driver: postgres, connection: host=a}\n" FIELDS "      n: {type: text}\n"
	     "    mappings:\n" "      a: {table: t}\n" "      b: {table: t}\n"),
	  "14:7: entities.c.mappings.b: this is the same table of the same database as at endpoint \"a\"\n" },
	{ "itself apart by where",
	  TEXT(TOP ENDPOINT_A "  b: {driver: postgres, connection: host=a}\n" FIELDS "      n: {type: text}\n"
	     "    mappings:\n" "      a: {table: t, where: {x: 1}}\n" "      b: {table: t, where: {x: 2}}\n"),
	  "" },
	{ "two entities in one table",
	  TEXT(TOP ENDPOINTS ENTITIES "  d:\n" "    key: [k]\n" "    fields: {k: {type: text}}\n"
	     "    mappings: {a: {table: ta}}\n"),
	  "18:27: entities.d.mappings.a.table: entity \"c\" has this table, too: two entities in one table are not built yet in this version\n" },
	{ "everything at once",
	  TEXT("version: 1\n" "topology: 9\n" "stat: {}\n" "endpoints: {a: {driver: mysql}}\n" "entities:\n" "  c:\n"
	     "    key: [x]\n" "    fields: {k: {type: int}}\n" "    mappings: {b: {table: 1}}\n"),
	  "2:11: topology: a name is letters, digits, _ and -, begins with a letter and has at most 63\n"
	  "3:1: stat: unknown key; did you mean \"state\"?\n"
	  "4:13: endpoints.a.connection: missing\n"
	  "4:25: endpoints.a.driver: wants postgres, mariadb, file, http or queue, has \"mysql\"\n"
	  "7:11: entities.c.key[0]: no field \"x\"\n"
	  "8:24: entities.c.fields.k.type: wants text, integer, decimal, boolean, timestamp, date, uuid, json, bytes or reference, has \"int\"\n"
	  "9:16: entities.c.mappings.b: no endpoint of this name\n" },
};

/* Stands for a driver's parser. */
static bool understands(const struct endpoint_conf *conf, char *why, size_t why_size)
{
	snprintf(why, why_size, "what is this?");
	return strncmp(conf->connection, "host=", 5) == 0;
}

static char *complaints(const char *text, size_t len)
{
	struct conf_problems problems;
	struct topology *t = topology_parse("f", text, len, understands, &problems);
	struct buf said = { 0 };

	ck_assert_msg((t == NULL) == (problems.n > 0), "a topology or problems, never both");
	for (size_t i = 0; i < problems.n; i++) {
		const struct conf_problem *p = &problems.list[i];

		buf_addf(&said, "%u:%u: %s%s%s\n", p->line, p->column, p->path, p->path[0] != '\0' ? ": " : "", p->text);
	}
	conf_problems_fini(&problems);
	topology_free(&t);
	return buf_take(&said);
}

START_TEST(each_problem_is_named_where_it_stands)
{
	const struct bad *row = &rows[_i];
	char *said = complaints(row->text, row->len);

	ck_assert_msg(strcmp(said, row->problems) == 0, "%s:\nwanted\n%sbut got\n%s", row->name, row->problems, said);
	free(said);
}
END_TEST

/* ---- files that are made, not written */

static void says(struct buf *file, const char *want)
{
	char *said = complaints(file->p, file->len);

	ck_assert_str_eq(said, want);
	free(said);
	buf_fini(file);
}

/* Every row again as another system's editor would have saved it: the same lines and columns. */
START_TEST(carriage_returns_change_nothing)
{
	const struct bad *row = &rows[_i];
	struct buf file = { 0 };

	for (size_t i = 0; i < row->len; i++) {
		if (row->text[i] == '\n')
			buf_addc(&file, '\r');
		buf_addc(&file, row->text[i]);
	}
	buf_adds(&file, "");
	says(&file, row->problems);
}
END_TEST

START_TEST(a_file_may_have_one_mebibyte)
{
	struct buf file = { 0 };

	buf_adds(&file, TOP ENDPOINTS ENTITIES "# ");
	while (file.len < (1 << 20))
		buf_addc(&file, 'x');
	says(&file, "");
	while (file.len <= (1 << 20))
		buf_addc(&file, 'x');
	says(&file, "0:0: is larger than 1 MiB\n");
}
END_TEST

START_TEST(a_file_may_have_many_keys_but_not_any_number)
{
	struct buf file = { 0 };

	buf_adds(&file, TOP "limits: {");
	for (int i = 0; i < 100000; i++)
		buf_addf(&file, "k%d, ", i);
	buf_addc(&file, '}');
	says(&file, "3:388874: limits: more than 100000 values\n");
}
END_TEST

START_TEST(limits_of_numbers_are_kept)
{
	struct buf file = { 0 };

	buf_adds(&file, TOP "endpoints:\n");
	for (int i = 0; i < 33; i++)
		buf_addf(&file, "  e%d: {driver: postgres, connection: host=%d}\n", i, i);
	buf_adds(&file, "entities:\n  c:\n    key: [f0]\n    fields:\n");
	for (int i = 0; i < 65; i++)
		buf_addf(&file, "      f%d: {type: text}\n", i);
	buf_adds(&file, "    mappings:\n      e0: {table: t}\n");
	says(&file, "36:3: endpoints.e32: more than 32 endpoints\n"
		    "105:7: entities.c.fields.f64: more than 64 fields\n");
}
END_TEST

/* A file cut off anywhere is bad or good, but never the end of the daemon. */
START_TEST(a_file_cut_anywhere_is_survived)
{
	static const char whole[] = TOP "state: {redis: 'redis://u:%41@h:1/2'}\n" ENDPOINTS ENTITIES
		"      # end\n    conflict: {rule: source-priority, groups: [[n, k]], priority: [b]}\n";

	for (size_t n = 0; n <= sizeof whole - 1; n++)
		free(complaints(whole, n));
}
END_TEST

/* And with any byte changed. */
START_TEST(a_file_with_any_byte_changed_is_survived)
{
	static const char whole[] = TOP ENDPOINT_B "    capture: poll\n    sweep: 0s\n" FIELDS
		"      n: {type: integer, check: [{range: [1, 2]}], clean: [{map: {a: b}}]}\n" MAPPINGS;
	static const char bytes[] = "\0\t\n :-?[]{},#&*!|>'\"%@`~\x80\xff" "0a.";
	char text[sizeof whole];

	for (size_t i = 0; i < sizeof whole - 1; i++)
		for (size_t k = 0; k < sizeof bytes - 1; k++) {
			memcpy(text, whole, sizeof whole);
			text[i] = bytes[k];
			free(complaints(text, sizeof whole - 1));
		}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bad_topology");
	TCase *written = tcase_create("written"), *made = tcase_create("made");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(written, each_problem_is_named_where_it_stands, 0, (int)countof(rows));
	tcase_add_loop_test(written, carriage_returns_change_nothing, 0, (int)countof(rows));
	tcase_add_test(made, a_file_may_have_one_mebibyte);
	tcase_add_test(made, a_file_may_have_many_keys_but_not_any_number);
	tcase_add_test(made, limits_of_numbers_are_kept);
	tcase_add_test(made, a_file_cut_anywhere_is_survived);
	tcase_add_test(made, a_file_with_any_byte_changed_is_survived);
	tcase_set_timeout(made, 60);
	suite_add_tcase(suite, written);
	suite_add_tcase(suite, made);
	runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_NOFORK);	/* nothing here hangs; a process for each test costs more than the tests */
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
