"""TLS to a database, by libpq's own words, with an authority of one's own."""
import shutil
import subprocess
import unittest

from case import Pair, THINGS
from crm import SERVER_USER, Cluster, eventually, free_port, topology


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


class Tls(Pair):
    """The daemon reaches `a` by TCP and TLS alone. Its certificate is for localhost, by an authority that no machine knows."""

    def setUp(self):
        super().setUp()
        self.keys = self.place.path / "keys"
        self.keys.mkdir()
        self.authority("ours")
        self.authority("theirs")
        self.certificate("localhost")
        self.cluster = Cluster(self.place, "tls", f"listen_addresses = '127.0.0.1'\nssl = on\nssl_cert_file = '{self.keys}/localhost.pem'\n"
                               f"ssl_key_file = '{self.keys}/localhost.key'", free_port())
        (self.cluster.data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\nlocal all postgres trust\n")
        self.cluster.admin.run("ALTER ROLE crmsync PASSWORD 'right-secret'; SELECT pg_reload_conf()")
        self.a = self.database("tls_a", THINGS, self.cluster)

    def authority(self, name):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 2, "-subj", f"/CN={name}",
                "-keyout", self.keys / f"{name}.key", "-out", self.keys / f"{name}.pem")

    def certificate(self, host):
        key, request, names = (self.keys / f"{host}.{ending}" for ending in ("key", "csr", "ext"))
        names.write_text(f"subjectAltName = DNS:{host}\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={host}", "-keyout", key,
                "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.keys / "ours.pem", "-CAkey", self.keys / "ours.key", "-CAcreateserial",
                "-days", 2, "-extfile", names, "-out", self.keys / f"{host}.pem")
        if SERVER_USER:
            shutil.chown(key, SERVER_USER.pw_uid, SERVER_USER.pw_gid)

    def topology(self, host="localhost", authority="ours"):
        address = (f"host={host} port={self.cluster.port} dbname=tls_a user=crmsync password=right-secret sslmode=verify-full "
                   f"sslrootcert={self.keys}/{authority}.pem")
        return topology(self.redis, {"a": {"connection": address, **self.a_capture},
                                     "b": {"connection": self.b.conninfo, **self.b_capture}}, self.entities)

    def test_a_server_whose_name_and_authority_are_right_is_spoken_to_by_tls(self):
        self.b.run("INSERT INTO things (k) VALUES ('one')")
        self.d = self.daemon(self.topology())
        self.assertEqual(len(self.settled()), 1)
        ways = self.a.run("SELECT DISTINCT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.usename = 'crmsync'")
        self.assertEqual(ways, [(True,)])

    def test_one_whose_authority_or_name_is_wrong_is_refused_with_the_reason_and_no_secret(self):
        for wrong, words in (({"authority": "theirs"}, "certificate verify failed"), ({"host": "127.0.0.1"}, "does not match host name")):
            with self.subTest(**wrong):
                self.d = self.daemon(self.topology(**wrong), name=words.split()[0])
                eventually(lambda: self.d.endpoint("a")["state"] == "down", "it is refused")
                reason = self.d.endpoint("a")["reason"]
                self.assertIn(words, reason)
                self.assertNotIn("\n", reason)
                lines = [line for line in self.d.log.splitlines() if "endpoint down" in line]
                self.assertEqual(len(lines), 1, lines)
                self.assertIn(words, lines[0])
                self.assertNotIn("right-secret", self.d.log + self.d.get("/status")[1])
                self.d.stop()


if __name__ == "__main__":
    unittest.main()
