"""soak_rules.py - fields of everybody that each have another rule: how people edit them, and what must have become of that.

Nobody's edits of one record and field at one side cross (editors.py's partition), so of each side the order of its values is known. The
oracles know the rules of crmsyncd-conflicts(7) and nothing of how they are carried out.
"""
import time

MIRRORED = "sales"      # the first in the priority

FIELDS = {"best": "max", "cheapest": "min", "total": "add", "verdict": "manual", "nick": "newest-filled", "plan": "mirror",
          "segment": "source-priority"}
NUMBERS = ("best", "cheapest", "total")
# A sum is added to once, also where the answer does not come and the statement is sent again.
TICKETS = "CREATE TABLE tickets (ticket text PRIMARY KEY); GRANT ALL ON tickets TO PUBLIC;"


def columns(table):
    return "".join(f"ALTER TABLE {table} ADD {field} {'bigint NOT NULL DEFAULT 0' if field in NUMBERS else 'text'};" for field in FIELDS)


def in_topology(contact):
    """The entity's YAML with these fields and their rules."""
    fields = "".join(f"    {field}: {{type: {'integer' if field in NUMBERS else 'text'}}}\n" for field in FIELDS)
    rules = ", ".join(f"{field}: {rule}" for field, rule in FIELDS.items())
    return contact.replace("  conflict:", fields + "  conflict:").replace("billing]}\n  mappings", f"billing], fields: {{{rules}}}}}\n  mappings")


class Said:
    """What one person has said of these fields, confirmed or not: {field: {email: values, the last one last}}."""

    def __init__(self):
        self.of = {field: {} for field in FIELDS}
        self.when = {field: {} for field in FIELDS}

    def note(self, field, email, value):
        self.of[field].setdefault(email, []).append(value)
        self.when[field].setdefault(email, []).append(time.strftime("%H:%M:%S") + f"{time.time() % 1:.3f}"[1:])

    def something_for(self, field, dice, number):
        if field == "total":
            return dice.randrange(1, 10**9)     # so large that no two sums are the same by chance
        if field in NUMBERS:
            return dice.randrange(-1000, 1000)
        if field == "nick" and dice.random() < 0.4:
            return dice.choice((None, ""))
        return f"{field} {number}"


class Judge:
    """All that was said in all episodes, in the order of time."""

    def __init__(self, people):
        self.people = people        # [(name of the side, Said)]

    def values(self, field, email):
        return [v for _, said in self.people for v in said.of[field].get(email, ())]

    def last(self, field, email):
        """{side: what it said last}"""
        return {side: said.of[field][email][-1] for side, said in self.people if email in said.of[field]}

    def story(self, field, email):
        """Who said what when, a line each."""
        return "\n".join(sorted(f"  {when} {side}: {value!r}" for side, said in self.people
                                for when, value in zip(said.when[field].get(email, ()), said.of[field].get(email, ()))))

    def faults(self, email, person):
        """What of that person's record nobody can have meant; person: {field: value}."""
        for field, rule in FIELDS.items():
            value, values, last = person[field], self.values(field, email), self.last(field, email)
            first = 0 if field in NUMBERS else None
            if rule == "add":
                if value != sum(values):
                    yield field, f"all differences come to {sum(values)}"
                continue
            if value != first and value not in values:
                yield field, "nobody said that"
            if rule == "max" and any(v > value for v in last.values()) or rule == "min" and any(v < value for v in last.values()):
                yield field, f"there is a better one in {last}"
            if rule == "newest-filled" and not value and any(last.values()):
                yield field, f"a blank has beaten one of {last}"
            if rule == "mirror" and value != last.get(MIRRORED):
                yield field, f"{MIRRORED} said {last.get(MIRRORED)!r}"
