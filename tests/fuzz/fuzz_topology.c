/*
 * fuzz_topology.c - any file is a topology or has a problem that names a place in it; what is printed of one loads again and says the same.
 */
#include "fuzz.h"

#include <string.h>

#include "base/buf.h"
#include "conf/topology.h"

#define HEAD "version: 1\ntopology: acme\nstate: {redis: redis://127.0.0.1}\nendpoints:\n" \
	"  sales: {driver: postgres, connection: host=/tmp, capture: poll, overlap: 10m, zone: UTC}\n" \
	"  support: {driver: postgres, connection: host=/run dbname=x, capture: listen, interval: 2s, notify: false}\n"

const char *const fuzz_examples[] = {
	HEAD "entities:\n  contact:\n    key: [email]\n    conflict: {rule: last-writer-wins, priority: [sales, support], fields: {score: max}}\n"
	"    fields:\n      email: {type: text, clean: [trim, lower], check: [required]}\n      name: {type: text, private: true}\n"
	"      score: {type: integer, check: [{range: [0, 100]}], on_invalid: \"null\"}\n    limits: {mass_delete: 2%}\n    mappings:\n"
	"      sales: {table: crm.contacts, id: id, modified: updated_at, columns: {email: e_mail}}\n"
	"      support: {table: people, modified: at, columns: {name: full_name, score: points}}\n",
	HEAD "entities:\n  account:\n    key: [number, land]\n    conflict: {deletes: delete-wins, groups: [[street, city]]}\n"
	"    fields: {number: {type: text}, land: {type: text}, street: {type: text}, city: {type: text, clean: [{map: {a: b}}, {default: c}]}}\n"
	"    mappings:\n      sales: {table: a, modified: m, delete: {soft: {column: deleted_at, set: now}}}\n"
	"      support: {table: b, where: {kind: x}, role: target}\n",
	"a: &x [1, 2]\nb: *x\n", "- - - -\n", "limits: {batch_rows: 1e999, max_ahead: 20%}\n", NULL
};

static void check_problems(const struct conf_problems *problems, const char *text, size_t size)
{
	unsigned lines = 2;

	for (size_t i = 0; i < size; i++)
		lines += text[i] == '\n' || text[i] == '\r' || (unsigned char)text[i] >= 0x80;	/* YAML has more line ends than these two */
	fuzz_check(problems->n > 0, "refused without a problem");
	for (size_t i = 0; i < problems->n; i++) {
		fuzz_check(problems->list[i].text != NULL && problems->list[i].text[0] != '\0', "a problem without words");
		fuzz_check(problems->list[i].line <= lines, "line %u of %u", problems->list[i].line, lines);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_problems problems = { 0 }, none = { 0 };
	struct topology *t = topology_parse("x.yaml", (const char *)data, size, NULL, &problems), *again;
	struct buf once = { 0 }, twice = { 0 };

	if (t == NULL) {
		check_problems(&problems, (const char *)data, size);
	} else {
		topology_print(t, &once);
		again = topology_parse("x.yaml", once.p, once.len, NULL, &none);
		fuzz_check(again != NULL, "what is printed of it does not load: %s: %s", none.n > 0 ? none.list[0].path : "", none.n > 0 ? none.list[0].text : "");
		topology_print(again, &twice);
		fuzz_check(once.len == twice.len && memcmp(once.p, twice.p, once.len) == 0, "printed twice it is different");
		topology_free(&again);
	}
	topology_free(&t);
	conf_problems_fini(&problems);
	conf_problems_fini(&none);
	buf_fini(&once);
	buf_fini(&twice);
	return 0;
}
