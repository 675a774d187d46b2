"""An endpoint whose packets are dropped: it neither answers nor refuses. Nobody else may notice."""
import select
import socket
import threading
import time
import unittest

from case import ThreeCrms, alone
from crm import eventually


class Hole:
    """A TCP way to a server's unix socket; what goes either way is dropped while it is `open`, new connections included."""

    def __init__(self, path):
        self.path, self.open = str(path), False
        self.pairs = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.waker, self.wakee = socket.socketpair()
        self.thread = threading.Thread(target=self._carry, daemon=True)
        self.thread.start()

    def shut(self):
        """Everything is carried again; who was dropped is told to begin anew."""
        self.open = False
        for pair in [p for p in self.pairs if p[1] is None]:
            self.pairs.remove(pair)
            pair[0].close()

    def close(self):
        self.waker.send(b"x")
        self.thread.join()
        for one in (self.listener, self.waker, self.wakee, *(s for pair in self.pairs for s in pair if s)):
            one.close()

    def _accept(self):
        client, _ = self.listener.accept()
        server = None
        if not self.open:
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.path)
        self.pairs.append((client, server))

    def _carry(self):
        while True:
            others = {}
            for a, b in self.pairs:
                if b and not self.open:
                    others[a], others[b] = b, a
            ready, _, _ = select.select([self.wakee, self.listener, *others], [], [], 0.05)
            if self.wakee in ready:
                return
            if self.listener in ready:
                self._accept()
            for one in ready:
                if one in others and not self.open:
                    self._forward(one, others[one])

    def _forward(self, one, other):
        try:
            data = one.recv(65536)
            if data:
                other.sendall(data)
                return
        except OSError:
            pass
        self.pairs = [pair for pair in self.pairs if one not in pair]
        one.close()
        other.close()


class BlackHole(ThreeCrms):
    def setUp(self):
        super().setUp()
        self.hole = Hole(self.support.base.cluster.back_door / ".s.PGSQL.5432")
        self.addCleanup(self.hole.close)

    def endpoints(self):
        ends = super().endpoints()
        ends["support"]["connection"] = f"host=127.0.0.1 port={self.hole.port} dbname=support user=crmsync"
        return ends

    def status_takes(self):
        began = time.monotonic()
        self.assertEqual(self.d.get("/status")[0], 200)
        return time.monotonic() - began

    def travel(self, value):
        """How long an edit takes from sales to billing; status is asked meanwhile."""
        began = time.monotonic()
        self.sales.edit("p1@example.org", name=value)
        eventually(lambda: self.slowest.append(self.status_takes()) or self.billing.people()["p1@example.org"]["name"] == value,
                   f"{value} arrives at billing")
        return time.monotonic() - began

    @alone
    def test_the_others_go_on_as_before_and_status_says_why_at_once(self):
        self.slowest = []
        self.populate(self.sales)
        self.start()
        self.settled()
        before = sorted(self.travel(f"before {n}") for n in range(20))
        self.d.wait()       # a write that is under way there is waited for: its record is in doubt until it is down
        self.hole.open = True
        self.assertLess(self.travel("the first one"), 5, "two seconds, until it is known that nobody answers there")
        reason = self.d.endpoint("support")["reason"]
        self.assertRegex(reason, "^no answer for .* s")
        self.assertIn("2 of 3 endpoints up", self.d.status()["summary"])
        during = sorted(self.travel(f"during {n}") for n in range(20))
        self.assertLess(during[10], before[10] + 0.2, "as before")
        self.assertLess(during[-1], before[-1] + 1, "as before")
        eventually(lambda: self.d.endpoint("support")["state"] == "down", "it counts as down")
        self.travel("while it is down")
        self.assertLess(max(self.slowest), 1, "status was answered at once all the time")
        self.hole.shut()
        self.settled()
        self.assert_quiet()


if __name__ == "__main__":
    unittest.main()
