"""people.py - companies and people as CRMs really hold them: same person here and there, spelled differently, with blanks.

Seeded: the same seed gives the same people. Everything is made up; mail domains end in .example, phone numbers are of the ranges
kept for fiction.
"""
import random
import unicodedata

FIRST = """Ada Aïcha Ana Anders Aoife Åsa Beatriz Björn Chinwe Chloë Daniel David Elif Emma Eoin Fatima François Giulia Grace
Hélène Ibrahim Igor Ines Ingrid Jan Jürgen Karim Katarzyna Kwame Lars Leila Lin Lucía Łukasz María Marta Mehmet Miguel Mohammed
Nadia Ngozi Nikos Noah Olga Omar Paweł Petra Priya Rafael Renée Rosa Sanjay Sára Sean Sofia Søren Tomáš Tuan Ursula Uwe Vera Wei
Yasmin Yuki Zoë 美咲 健太 伟 Дмитрий Ольга Елена""".split()
LAST = """Adeyemi Almeida Andersson Bauer Becker Brown Castro Chen Dąbrowski Díaz Dubois Dvořák Eriksen Fernández Fischer Garcia
García Haddad Hansen Hernández Horváth Ito Ivanova Jensen Johnson Kaya Khan Kim Kowalski Krüger Kumar Larsen Lefèvre López Martin
Moreau Müller Nguyen Nielsen Nováková Nowak Ó'Brien O'Connor Okafor Öztürk Papadopoulos Patel Pérez Petrov Ramírez Rossi Sánchez
Schmidt Schröder Silva Singh Smith Sørensen Suzuki Tanaka van-der-Berg Weiß Williams Wójcik Yılmaz Zhang Židek""".split()
STEM = """Adler Alba Arctic Atlas Bergmann Blue-Harbour Cedar Cobalt Copper Delta Eastgate Falk Fjord Granite Halcyon Heron Iris
Juniper Kestrel Kite Linden Lumen Maple Meridian Nordwind Nova Oak Olive Orbit Pine Quarry Quill Raven Río Sable Sierra Silver
Solstice Sparrow Stone Tern Tulip Umbra Vega Viola Willow Wren Zephyr Žižka""".split()
TRADE = "Logistics Foods Software Optics Textiles Energy Media Robotics Paper Travel Instruments Glass Ceramics Bikes Clinics".split()
FORM = ["GmbH", "Ltd", "Inc.", "S.A.", "AB", "B.V.", "s.r.o.", "Sp. z o.o.", "& Sons", "KG"]
PLACES = [("+1 555 01", 2), ("+44 7700 900", 3), ("+61 491 57", 4), ("+33 6 39 98 ", 4), ("+46 70 174 06 ", 2)]


def plain(text):
    """What is left for a mail address: ASCII letters and digits."""
    folded = unicodedata.normalize("NFKD", text.translate(str.maketrans("łŁøØßıđ", "lLoOsid")))
    return "".join(c for c in folded.lower() if c.isascii() and c.isalnum())


class Town:
    """companies: [(number, name)]; people: [{email, name, phone, company, score}], all of it clean."""

    def __init__(self, seed, people, companies):
        self.dice = random.Random(seed)
        self.companies = [self._company(n) for n in range(companies)]
        taken = set()
        self.people = [self._person(taken) for _ in range(people)]

    def _company(self, number):
        dice = self.dice
        return f"C-{10000 + number}", f"{dice.choice(STEM)} {dice.choice(TRADE)} {dice.choice(FORM)}"

    def _phone(self):
        start, digits = self.dice.choice(PLACES)
        return start + str(self.dice.randrange(10 ** digits)).zfill(digits)

    def _person(self, taken):
        dice = self.dice
        first, last = dice.choice(FIRST), dice.choice(LAST)
        number, name = dice.choice(self.companies)
        domain = plain(name.split(" ")[0]) + ".example"
        local = ".".join(filter(None, (plain(first), plain(last))))
        email, again = f"{local}@{domain}", 1
        while email in taken:
            again += 1
            email = f"{local}{again}@{domain}"
        taken.add(email)
        return {"email": email, "name": f"{first} {last}", "phone": self._phone(), "company": number,
                "score": dice.randrange(0, 101)}

    # ---- what typing does to it ----

    def mess_email(self, email):
        act = self.dice.random()
        if act < 0.05:
            return " " + email + " "
        if act < 0.15:
            return ".".join(part.capitalize() for part in email.split("."))
        return email.upper() if act < 0.17 else email

    def mess_name(self, name):
        act = self.dice.random()
        if act < 0.06:
            return name.replace(" ", "  ")
        if act < 0.10:
            return name + " "
        return name

    def mess_phone(self, phone):
        """Other ways to write it, or nothing, or only blanks."""
        act = self.dice.random()
        if act < 0.15:
            return None
        if act < 0.20:
            return " "
        if act < 0.30:
            return phone.replace(" ", "-").replace("+", "00", 1)
        return f" {phone}" if act < 0.35 else phone

    def messed(self, person):
        """The same person as somebody in another office would have typed it."""
        other = {**person, "email": self.mess_email(person["email"]), "name": self.mess_name(person["name"]),
                 "phone": self.mess_phone(person["phone"])}
        if self.dice.random() < 0.10:
            other["company"] = None
        if self.dice.random() < 0.08:
            other["score"] = self.dice.randrange(0, 101)
        return other

    def share(self, probability):
        return [p for p in self.people if self.dice.random() < probability]
