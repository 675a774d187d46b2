"""As systemd runs it: what the service manager hears, and the filters of the unit."""
import contextlib
import ctypes.util
import json
import os
import re
import resource
import shutil
import signal
import socket
import sqlite3
import subprocess
import unittest
import urllib.request

from case import ThreeCrms
from confine import Confinement
from crm import BUILDDIR, CRMSYNCD, eventually, free_port

UNIT = BUILDDIR / "systemd" / "crmsyncd.service"


class Manager:
    """Stands in for systemd: NOTIFY_SOCKET, and what was said there so far."""

    def __init__(self, place):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.path = place.path / "notify"
        self.socket.bind(str(self.path))
        self.socket.setblocking(False)
        self.heard = []

    def listen(self):
        while True:
            try:
                self.heard.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return self.heard

    def hears(self, message, what):
        """Waits for it; what was said up to there is forgotten, and returned."""
        eventually(lambda: message in self.listen(), f"{what}: the service manager hears {message!r}")
        end = self.heard.index(message) + 1
        before, self.heard = self.heard[:end], self.heard[end:]
        return before

    def hears_like(self, word, what):
        eventually(lambda: any(word in message for message in self.listen()), f"{what}: the service manager hears of {word!r}")


class Notify(ThreeCrms):
    def setUp(self):
        super().setUp()
        self.manager = Manager(self.place)
        self.addCleanup(self.manager.socket.close)

    def start(self, **options):
        environment = {"NOTIFY_SOCKET": str(self.manager.path), **options.pop("environment", {})}
        return super().start(environment=environment, **options)

    def test_ready_comes_when_everybody_was_tried(self):
        """One database takes connections and says nothing: not before the daemon has given up on it."""
        deaf = socket.socket(socket.AF_UNIX)
        self.addCleanup(deaf.close)
        deaf.bind(str(self.place.path / ".s.PGSQL.5432"))
        deaf.listen(20)
        self.deaf = str(self.place.path)
        self.start()
        before = self.manager.hears("READY=1", "started")
        self.assertEqual(self.d.endpoint("billing")["state"], "down")
        self.assertIn("STATUS=", "".join(before), "how far it is can be seen meanwhile")
        self.assertIn("WATCHDOG=1", before)
        self.manager.hears_like("2 of 3 endpoints up", "one is away")

    def endpoints(self):
        endpoints = super().endpoints()
        if getattr(self, "deaf", None):
            endpoints["billing"]["connection"] = f"host={self.deaf} dbname=x user=y"
        return endpoints

    def test_ready_comes_when_redis_is_away(self):
        self.redis.stop()
        self.start()
        self.manager.hears("READY=1", "started")
        self.manager.hears_like("STATUS=Redis is away", "Redis is away")
        self.redis.start()
        self.populate(self.sales)
        self.settled()
        self.manager.hears_like("STATUS=3 of 3 endpoints up; everything is in step", "all is well")

    def test_status_is_the_sentence_that_the_client_shows(self):
        self.start()
        self.populate(self.sales)
        self.support.add("long@example.org", phone="1" * 21)
        self.settled_but_parked()
        sentence = self.d.ctl("status").splitlines()[0]
        self.assertIn("parked", sentence)
        self.manager.hears("STATUS=" + sentence, "parked")

    def settled_but_parked(self):
        self.d.wait()
        eventually(lambda: len(self.d.parked()) > 0, "it is parked")

    def test_a_reload_begins_and_ends(self):
        self.start()
        self.manager.hears("READY=1", "started")
        for text in (self.topology(), self.topology().replace("interval: 1s", "interval: soon")):
            self.d.write(text)
            self.d.process.send_signal(signal.SIGHUP)
            said = self.manager.hears("READY=1", "reloaded, or refused")
            begun = [message for message in said if message.startswith("RELOADING=1\nMONOTONIC_USEC=")]
            self.assertEqual(len(begun), 1, said)

    def test_stopping_is_said(self):
        self.start()
        self.manager.hears("READY=1", "started")
        self.d.stop()
        self.assertIn("STOPPING=1", self.manager.listen())
        self.assertNotIn("READY=1", self.manager.heard)

    def test_the_watchdog_is_fed_as_often_as_the_manager_wants(self):
        """More often than the status is renewed; not at all while the loop stands."""
        self.start(environment={"WATCHDOG_USEC": "400000"})
        self.manager.hears("READY=1", "started")
        self.manager.heard.clear()
        eventually(lambda: len([m for m in self.manager.listen() if m.startswith("WATCHDOG")]) >= 10, "it is fed", patience=4)
        self.d.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.d.process.pid, os.WUNTRACED)
        self.manager.listen()
        self.manager.heard.clear()
        self.assertEqual(self.manager.listen(), [])
        self.d.process.send_signal(signal.SIGCONT)
        self.manager.hears("WATCHDOG=1", "it goes on")

    def test_a_wrong_topology_never_says_ready(self):
        self.d = self.daemon(self.topology().replace("interval: 1s", "interval: soon"), run=False,
                             environment={"NOTIFY_SOCKET": str(self.manager.path)})
        self.assertEqual(self.d.run_once(), 78)
        self.assertNotIn("READY=1", self.manager.listen())


class Credentials(ThreeCrms):
    """A password that only the unit hands over: LoadCredential=, $CREDENTIALS_DIRECTORY."""

    def test_a_password_comes_as_a_credential(self):
        credentials = self.place.path / "credentials"
        credentials.mkdir(0o700)
        (credentials / "sales.secret").write_text("wrong-secret\n")
        (credentials / "sales.secret").chmod(0o440)         # as systemd leaves them where it uses access lists
        self.sales.base.run("GRANT application TO locked; GRANT CREATE ON DATABASE sales TO locked")
        self.start(environment={"CREDENTIALS_DIRECTORY": str(credentials)})
        eventually(lambda: "password" in self.d.endpoint("sales")["reason"], "a wrong one is refused")
        (credentials / "sales.secret").chmod(0o600)
        (credentials / "sales.secret").write_text("right-secret\n")
        self.d.ctl("reload")        # else it is tried again within half a minute
        self.populate(self.support)
        self.settled()
        self.assert_clean_log(self.d, "wrong-secret", "right-secret")
        self.d.stop()
        checked = subprocess.run([CRMSYNCD, "-t", "-c", self.d.file], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(checked.returncode, 78)
        self.assertIn("LoadCredential", checked.stderr)

    def endpoints(self):
        endpoints = super().endpoints()
        connection = endpoints["sales"]["connection"].replace("user=crmsync", "user=locked")
        return {**endpoints, "sales": {**endpoints["sales"], "connection": connection,
                                       "password_file": "$CREDENTIALS_DIRECTORY/sales.secret"}}


class Log(ThreeCrms):
    """What the log says of trouble: its beginning, its end, and how much there was in between."""

    def lines(self, word):
        return [line for line in self.d.log.splitlines() if word in line]

    def test_redis_away_and_back_is_said_once_each(self):
        self.start(options=("--log-level", "info"))
        self.populate(self.sales)
        self.settled()
        self.redis.stop()
        eventually(lambda: self.lines("Redis cannot be used"), "it is said")
        self.assertIn(" warn ", self.lines("Redis cannot be used")[0])
        eventually(lambda: len(self.lines("Redis cannot be used")) >= 2, "it was lost, and then it is not to be reached")
        self.redis.start()
        eventually(lambda: len(self.lines("Redis can be used")) == 2, "at the start, and now")
        told = [line.split("meanwhile")[1] for line in self.lines("Redis cannot be used")]
        self.assertEqual(len(told), len(set(told)), "each reason once")
        self.assertGreater(float(self.lines("Redis can be used")[1].split("down_seconds=")[1]), 0)
        tries = [int(re.search(r"tries=(\d+)", line)[1]) for line in self.lines("Redis can be used")]
        self.assertEqual(tries[0], 1)
        self.assertGreaterEqual(tries[1], 3, "the loss, one that failed at least, and the one that did not")

    def test_a_journal_that_is_held_is_said_once_with_a_count_at_its_end(self):
        self.start()
        self.populate(self.sales)
        self.settled()
        with contextlib.closing(sqlite3.connect(self.d.directory / "journal" / "journal.db", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            self.support.edit("p1@example.org", phone="1" * 21)         # to be parked: that has to be written down
            eventually(lambda: self.lines("the journal cannot be written"), "it is said", patience=120)
            eventually(lambda: self.d.metrics()["crmsyncd_journal_writable"] == 0, "and shown")
            self.assertEqual(self.d.get("/readyz")[0], 503)
            eventually(lambda: len(self.lines("round given up")) > 2, "it was tried again", patience=120)
            other.execute("ROLLBACK")
        again = eventually(lambda: self.lines("the journal can be written again"), "its end is said")
        self.assertEqual(len(self.lines("the journal cannot be written")), 1)
        self.assertEqual(len(again), 1)
        self.assertGreater(int(again[0].split("failures=")[1].split()[0]), 1)
        eventually(lambda: len(self.d.parked()) == 1, "it is parked now")
        self.assertEqual(self.d.metrics()["crmsyncd_journal_writable"], 1)

    def test_the_journal_of_systemd_gets_priorities(self):
        """stderr is the stream that JOURNAL_STREAM names."""
        for name, options, begins in (("text", (), "<6>crmsyncd runs"), ("json", ("--log-format", "json"), '<6>{"time"')):
            log = self.place.log_file(name)
            log.touch()
            stream = f"{log.stat().st_dev}:{log.stat().st_ino}"
            daemon = self.daemon(self.topology(), name=name, options=options, environment={"JOURNAL_STREAM": stream})
            eventually(lambda d=daemon: "endpoint up" in d.log, "something is logged")
            daemon.stop()
            for line in daemon.log.splitlines():
                self.assertRegex(line, "^<[3467]>")
            self.assertTrue(any(line.startswith(begins) for line in daemon.log.splitlines()), daemon.log)

    def test_messages_are_counted_whether_written_or_not(self):
        self.start(options=("--log-level", "error"))
        self.populate(self.sales)
        self.settled()
        metrics = self.d.metrics()
        self.assertGreater(metrics['crmsyncd_log_messages_total{level="info"}'], 0)
        self.assertGreater(metrics['crmsyncd_log_messages_total{level="debug"}'], 0)
        self.assertEqual(self.d.log, "")

    def test_a_start_that_fails_is_an_error_in_the_log(self):
        self.d = self.daemon(self.topology().replace("interval: 1s", "interval: soon"), run=False, options=("--log-format", "json"))
        self.assertEqual(self.d.run_once(), 78)
        self.assertEqual(json.loads(self.d.log.splitlines()[-1])["level"], "error")


@unittest.skipUnless(shutil.which("systemd-analyze") and ctypes.util.find_library("seccomp"), "systemd is not here")
class UnderTheFilter(ThreeCrms):
    """Everything the daemon does, with the system calls that the unit leaves it."""

    # Both do without: libevent asks which addresses this machine has, and SQLite gives its files to the owner of the
    # directory, but only as root, which the unit's user is not.
    expected = {"socket(16)", "fchown"}

    def setUp(self):
        self.port, self.page = free_port(), free_port()
        self.redis_options = ("--port", str(self.port), "--bind", "127.0.0.1")
        super().setUp()

    def topology(self, entities=None, **settings):
        """Redis by name and over TCP, so that names are looked up as well; and the page over TCP."""
        return super().topology(entities, **settings).replace(f"unix:{self.redis.socket}", f"redis://localhost:{self.port}/0") \
            .replace("stats.sock\n", f"stats.sock\n  listen: localhost:{self.page}\n")

    def endpoints(self):
        """One more, of which only the name is good: libpq's looking up, and a connection that is refused."""
        return {**super().endpoints(), "nobody": {"connection": f"host=localhost port={free_port()} dbname=x user=y"}}

    def test_all_that_it_does(self):
        unit = Confinement(UNIT)
        self.start(prepare=unit.prepare, environment={"ASAN_OPTIONS": "detect_leaks=0"})
        self.populate(self.sales, people=200)
        self.settled()
        self.look_at_it()
        self.work_with_trouble()
        self.give_orders()
        self.lose_and_regain()
        self.d.stop()
        self.assertTrue(unit.denied, "the filter is in force: something was refused")
        self.assertLessEqual(set(unit.denied), self.expected)

    def look_at_it(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.page}/", timeout=30) as answer:
            self.assertIn("<h1>", answer.read().decode())
        with urllib.request.urlopen(f"http://127.0.0.1:{self.page}/metrics", timeout=30) as answer:
            page = answer.read().decode()
        for name in ("process_max_fds", "process_open_fds", "process_resident_memory_bytes", "process_cpu_seconds_total"):
            value = float(re.search(f"^{name} (.*)$", page, re.M).group(1))
            self.assertGreater(value, 0, name)
        self.assertEqual(float(re.search("^process_max_fds (.*)$", page, re.M).group(1)),
                         resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        eventually(lambda: "refused" in self.d.endpoint("nobody")["reason"], "the name was looked up")

    def work_with_trouble(self):
        """A conflict, a parked record, held deletes."""
        self.d.ctl("pause", "sales")
        self.d.ctl("pause", "billing")
        self.sales.edit("p1@example.org", name="One")
        self.billing.edit("p1@example.org", name="Two")
        self.support.add("long@example.org", phone="1" * 21)
        self.d.ctl("resume", "sales")
        self.d.ctl("resume", "billing")
        eventually(lambda: len(self.d.parked()) == 1 and self.d.ctl_lines("conflicts"), "a conflict, and a parked record")
        self.support.base.run("DELETE FROM people WHERE email = 'long@example.org'")
        self.sales.base.run("DELETE FROM crm.contacts WHERE email LIKE 'p1%'")
        eventually(lambda: self.d.ctl_lines("held", "list"), "deletes are held")
        self.d.ctl("held", "discard", self.d.ctl_lines("held", "list")[0]["set"])
        self.d.wait()

    def give_orders(self):
        self.d.ctl("install", "sales", "--print")
        self.d.ctl("install", "billing")
        self.d.ctl("reload")
        self.d.ctl("metrics")
        self.assertEqual(self.d.get("/healthz")[0], 200)

    def lose_and_regain(self):
        self.redis.restart()
        self.sales.edit("p7@example.org", name="After Redis had been away")
        eventually(lambda: self.billing.people()["p7@example.org"]["name"] == "After Redis had been away", "it travels")
        self.d.kill()
        self.d.start()
        self.sales.edit("p8@example.org", name="After a kill")
        eventually(lambda: self.billing.people()["p8@example.org"]["name"] == "After a kill", "it travels")


if __name__ == "__main__":
    unittest.main()
