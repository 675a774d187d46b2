"""crm.py - private PostgreSQL and Redis servers, the daemon and its client, for tests and for the demonstration.

Everything lives in one temporary directory, speaks through unix sockets in it, and dies with the process that started it
(also with kill -9: PR_SET_PDEATHSIG). Nothing touches a server that was running before. Waiting is always asking.

    place = Place()                         a directory; place.close() stops what runs there and removes it
    cluster = Cluster(place, "pg")          a PostgreSQL server
    standby = Standby(cluster)              a copy that follows it by streaming; standby.promote()
    base = cluster.database("sales", sql)   a database on it: base.run(sql, ...), base.connect()
    redis = Redis(place)                    a Redis server
    daemon = Daemon(place, topology_text)   crmsyncd; daemon.ctl("status"), daemon.wait(), daemon.get("/metrics")
"""
import atexit
import ctypes
import hashlib
import http.client
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time

import libpq

BUILDDIR = pathlib.Path(os.environ.get("CRM_BUILDDIR", pathlib.Path(__file__).resolve().parents[2] / "build"))
CRMSYNCD = os.environ.get("CRMSYNCD", str(BUILDDIR / "crmsyncd"))
CRMSYNCCTL = os.environ.get("CRMSYNCCTL", str(BUILDDIR / "crmsyncctl"))
# A slow machine may make a test slow; it must not make it fail. The sanitizers cost about a factor of three.
PATIENCE = float(os.environ.get("CRM_PATIENCE", "90"))

_prctl = ctypes.CDLL(None).prctl
PR_SET_PDEATHSIG = 1


class Failed(AssertionError):
    """Something did not come true; the message says what was waited for and what there was instead."""


class Died(Failed):
    """A program ended that nobody had asked to."""


def eventually(ask, what, patience=None):
    """Asks until the answer is true and returns it. An answer may be (False, "why")."""
    end = time.monotonic() + (patience or PATIENCE)
    pause = 0.005
    while True:
        answer = ask()
        if answer and not (isinstance(answer, tuple) and answer[0] is False):
            return answer
        if time.monotonic() > end:
            raise Failed(f"never came true: {what}" + (f": {answer[1]}" if isinstance(answer, tuple) else ""))
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)


def _server_user():
    """PostgreSQL refuses to run as root: then it runs as `postgres`, or as nobody where there is none."""
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            pass
    raise RuntimeError("running as root, and there is no user to run PostgreSQL as")


SERVER_USER = _server_user()


def _pg_bindir():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: float(p.parts[4]), reverse=True)
    if found:
        return found[0].parent
    path = shutil.which("initdb")
    if path is None:
        raise RuntimeError("initdb not found: Debian's package is postgresql")
    return pathlib.Path(path).parent


def start(command, log, death_signal, user=None, prepare=None, **options):
    """A child with its output in `log`; gets `death_signal` when we die, however we die. prepare() runs in it before the command."""
    def before_exec():
        _prctl(PR_SET_PDEATHSIG, death_signal)
        if prepare is not None:
            prepare()

    if user is not None:
        options.update(user=user.pw_uid, group=user.pw_gid, extra_groups=[])
    with open(log, "ab") as out:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True,
                                preexec_fn=before_exec, **options)


def free_port():
    """Free just now, on this machine's own address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Place:
    """A directory and what runs in it. Stops everything in reverse order."""

    def __init__(self, prefix="crm."):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix=prefix))
        os.chmod(self.path, 0o755)      # PostgreSQL's user has to get through
        self.running = []
        self.logs = []
        atexit.register(self.close)

    def log_file(self, name):
        path = self.path / f"{name}.log"
        if path not in self.logs:
            self.logs.append(path)
        return path

    def stop(self):
        """Stops all, also when one of them complains; the first complaint is raised at the end."""
        complaint = None
        while self.running:
            try:
                self.running.pop().stop()
            except Failed as failed:
                complaint = complaint or failed
        if complaint:
            raise complaint

    def close(self):
        try:
            self.stop()
        finally:
            shutil.rmtree(self.path, ignore_errors=True)
            atexit.unregister(self.close)

    def print_logs(self, to=sys.stderr, lines=150):
        for log in self.logs:
            if log.exists():
                # The daemon notes each question that was asked of it; while a test waits, they are all that there is.
                text = [line for line in log.read_text(errors="replace").splitlines() if " debug connection ended " not in line]
                print(f"---- {log.name} ({len(text)} lines)", file=to)
                print("\n".join(text[-lines:]), file=to)


# ---- PostgreSQL ------------------------------------------------------------------------------------

SETTINGS = """
listen_addresses = ''
unix_socket_permissions = 0777
fsync = off
full_page_writes = off
max_connections = 80
shared_buffers = 32MB
log_line_prefix = '%m [%p] %q%u@%d/%a '
log_lock_waits = on
deadlock_timeout = 1s
"""
# The role `locked` has to show a password, everybody else is trusted: the sockets are reachable on this machine only.
HBA = "local all locked scram-sha-256\nlocal all all trust\nlocal replication postgres trust\n"
_template_lock = threading.Lock()
_template = None


def _make_template(directory):
    """initdb once; clusters are copies of it."""
    data = pathlib.Path(directory) / "template"
    data.mkdir()
    if SERVER_USER:
        os.chown(data, SERVER_USER.pw_uid, SERVER_USER.pw_gid)
    log = pathlib.Path(directory) / "initdb.log"
    command = [_pg_bindir() / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
               "--no-sync", "--wal-segsize=4"]
    if start(command, log, signal.SIGKILL, SERVER_USER, cwd="/").wait() != 0:
        raise RuntimeError("initdb failed:\n" + log.read_text())
    with open(data / "postgresql.conf", "a", encoding="ascii") as conf:
        conf.write(SETTINGS)
    (data / "pg_hba.conf").write_text(HBA)
    return data


def template():
    """The template of this process, or the one its parent made (CRM_TEMPLATE)."""
    global _template
    with _template_lock:
        if _template is None:
            given = os.environ.get("CRM_TEMPLATE")
            if given:
                _template = pathlib.Path(given)
            else:
                directory = tempfile.mkdtemp(prefix="crm-template.")
                os.chmod(directory, 0o755)
                atexit.register(shutil.rmtree, directory, ignore_errors=True)
                _template = _make_template(directory)
    return _template


class Session:
    """A connection that is made when it is needed and kept: a server forks, loads and reads catalogs for each new one."""

    def __init__(self, connect):
        self._connect, self._connection = connect, None

    def run(self, sql, *parameters):
        """Once more on a fresh connection when the server was restarted in between (only then nothing can have happened)."""
        if self._connection is None:
            self._connection = self._connect()
        try:
            return self._connection.run(sql, *parameters)
        except libpq.Error as error:
            if error.code not in ("", "57P01"):
                raise
            self.close()
            self._connection = self._connect()
            return self._connection.run(sql, *parameters)

    def close(self):
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Cluster:
    """A PostgreSQL server of our own. The superuser is `postgres`; the daemon comes as `crmsync`."""

    def __init__(self, place, name="pg", settings="", port=5432):
        self._begin(place, name, settings, port)
        self.admin.run("CREATE ROLE application; CREATE ROLE crmsync LOGIN; GRANT pg_read_all_stats, application TO crmsync;"
                       "CREATE ROLE locked LOGIN PASSWORD 'right-secret'")
        # From 15 on a new database is copied through the WAL unless one asks for files, which costs a tenth.
        new = self.admin.run("SELECT current_setting('server_version_num')::int >= 150000")[0][0]
        self.copying = "STRATEGY FILE_COPY" if new else ""

    def _begin(self, place, name, settings, port=5432):
        self.place, self.name, self.port = place, name, port
        self.data = place.path / name
        # The daemon comes through a door of its own, so that a test can shut it while the applications work on.
        self.door, self.back_door = place.path / f"{name}.s", place.path / f"{name}.d"
        self.process = None
        self._fill()
        for directory in (self.door, self.back_door):
            self._own_directory(directory)
        with open(self.data / "postgresql.conf", "a", encoding="ascii") as conf:
            conf.write(f"unix_socket_directories = '{self.door}, {self.back_door}'\nport = {port}\n{settings}\n")
        self.admin = Session(lambda: self.connect("postgres"))
        self.start()
        place.running.append(self)

    def _fill(self):
        subprocess.run(["cp", "-a", "--reflink=auto", template(), self.data], check=True)

    @staticmethod
    def _own_directory(directory):
        directory.mkdir(mode=0o755)
        if SERVER_USER:
            os.chown(directory, SERVER_USER.pw_uid, SERVER_USER.pw_gid)

    def start(self):
        if self.process is None:
            log = self.place.log_file(self.name)
            self.process = start([_pg_bindir() / "postgres", "-D", self.data], log, signal.SIGQUIT, SERVER_USER, cwd="/")
            eventually(self._answers, f"PostgreSQL {self.name} answers")

    def _answers(self):
        if self.process.poll() is not None:
            raise Failed(f"PostgreSQL {self.name} ended:\n" + self.place.log_file(self.name).read_text()[-2000:])
        try:
            self.admin.run("SELECT 1")
            return True
        except libpq.Error as error:
            return False, str(error)

    def stop(self, how=signal.SIGINT):
        """SIGINT: fast; SIGQUIT: as if the power had gone (crash recovery at the next start)."""
        if self.process is not None:
            self.process.send_signal(how)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGQUIT)
                self.process.wait()
            self.process = None

    def restart(self, how=signal.SIGINT):
        self.stop(how)
        self.start()

    def shut(self):
        """Out of the daemon's reach; everybody else stays connected."""
        os.rename(self.back_door, f"{self.back_door}.away")
        self.admin.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'crmsync'")

    def open(self):
        if not self.back_door.exists():
            os.rename(f"{self.back_door}.away", self.back_door)

    def conninfo(self, database, user="crmsync"):
        return f"host={self.back_door} dbname={database} user={user}"

    def connect(self, database, user="postgres"):
        return libpq.Connection(f"host={self.door} port={self.port} dbname={database} user={user} application_name=test "
                                "options='-c client_min_messages=warning'")

    def database(self, name, sql=""):
        return Database(self, name, sql)


class Standby(Cluster):
    """A copy of a cluster that follows it by streaming, asynchronously, and answers questions."""

    def __init__(self, primary, name="standby"):
        self.primary = primary
        self._begin(primary.place, name, "")

    def _fill(self):
        self._own_directory(self.data)
        os.chmod(self.data, 0o700)
        log = self.place.log_file(f"{self.name}-copy")
        command = [_pg_bindir() / "pg_basebackup", "-h", self.primary.door, "-U", "postgres", "-D", self.data, "-R", "--checkpoint=fast",
                   "--no-sync"]
        if start(command, log, signal.SIGKILL, SERVER_USER, cwd="/").wait() != 0:
            raise Failed("pg_basebackup failed:\n" + log.read_text())

    def catch_up(self):
        """Has by now what was committed at the primary before the call."""
        end = self.primary.admin.run("SELECT pg_current_wal_lsn()::text")[0][0]
        eventually(lambda: self.admin.run("SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn", end)[0][0], "the standby has caught up")

    def fall_behind(self):
        """What is committed from now on does not reach it."""
        self.catch_up()
        self.admin.run("ALTER SYSTEM SET primary_conninfo = ''")
        self.admin.run("SELECT pg_reload_conf()")
        eventually(lambda: self.admin.run("SELECT count(*) FROM pg_stat_wal_receiver")[0][0] == 0, "it follows no more")

    def answer_for_primary(self):
        """Whoever goes to the primary's doors comes here; the primary is gone."""
        self.primary.stop(signal.SIGQUIT)
        for theirs, ours in ((self.primary.door, self.door), (self.primary.back_door, self.back_door)):
            os.rename(theirs, f"{theirs}.gone")
            os.symlink(ours, theirs)

    def promote(self):
        self.admin.run("SELECT pg_promote()")


class Database:
    """A database and one connection to it as its owner. Use connect() for a session of one's own."""

    def __init__(self, cluster, name, sql=""):
        self.cluster, self.name = cluster, name
        cluster.admin.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        cluster.admin.run(f"CREATE DATABASE {name} {cluster.copying}")
        # May create its own schema, and is a member of the tables' owner, who alone may install triggers that always fire.
        cluster.admin.run(f"GRANT CREATE, CONNECT ON DATABASE {name} TO crmsync")
        self._own = Session(self.connect)
        if sql:
            self.run(sql)
        self.grant()

    def grant(self):
        """The CRM's tables belong to its role `application`."""
        self.run("""
            DO $$ DECLARE o record; BEGIN
              FOR o IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema|crmsync)' LOOP
                EXECUTE format('GRANT USAGE ON SCHEMA %I TO application', o.nspname);
                EXECUTE format('GRANT USAGE ON ALL SEQUENCES IN SCHEMA %I TO application', o.nspname);
              END LOOP;
              FOR o IN SELECT * FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema|crmsync)' LOOP
                EXECUTE format('ALTER TABLE %I.%I OWNER TO application', o.schemaname, o.tablename);
              END LOOP;
            END $$""")

    @property
    def conninfo(self):
        return self.cluster.conninfo(self.name)

    def connect(self, user="postgres"):
        return self.cluster.connect(self.name, user)

    def run(self, sql, *parameters):
        return self._own.run(sql, *parameters)

    def one(self, sql, *parameters):
        rows = self.run(sql, *parameters)
        return rows[0][0] if rows else None

    def close(self):
        self._own.close()

    def drop(self):
        self.close()
        self.cluster.admin.run(f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE)")

    def versions(self):
        """A digest of which row versions exist: any write to a table, also one that changes nothing, changes it at once."""
        digest = hashlib.sha256()
        for schema, table in self.run("SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN "
                                      "('pg_catalog', 'information_schema', 'crmsync') ORDER BY 1, 2"):
            digest.update(repr(self.run(f'SELECT ctid::text, xmin::text FROM "{schema}"."{table}" ORDER BY ctid')).encode())
        return digest.hexdigest()

    def counters(self):
        """The server's own count of rows inserted, updated and deleted in the CRM's tables. Backends add theirs when they are
        idle for long or end, so this is exact only while no other session is there."""
        self.run("SELECT pg_stat_force_next_flush()")
        eventually(lambda: self.one("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                                    "AND backend_type = 'client backend' AND pid <> pg_backend_pid()") == 0,
                   f"nobody else is connected to {self.name}")
        self.run("SELECT pg_stat_clear_snapshot()")
        return self.run("SELECT coalesce(sum(n_tup_ins), 0)::bigint, coalesce(sum(n_tup_upd), 0)::bigint, "
                        "coalesce(sum(n_tup_del), 0)::bigint FROM pg_stat_user_tables WHERE schemaname <> 'crmsync'")[0]


# ---- Redis -----------------------------------------------------------------------------------------

class Redis:
    def __init__(self, place, *options, name="redis"):
        self.place, self.name, self.options = place, name, options
        self.directory = place.path / name
        self.directory.mkdir()
        self.socket = self.directory / "s"
        self.process = None
        self.start()
        place.running.append(self)

    def start(self):
        if self.process is None:
            command = ["redis-server", "--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "700", "--dir",
                       self.directory, "--save", "", "--daemonize", "no", *self.options]
            self.process = start(command, self.place.log_file(self.name), signal.SIGTERM, cwd=self.directory)
            eventually(self._answers, "Redis answers")

    def _answers(self):
        try:
            return self.call("PING") == "PONG"
        except (OSError, RuntimeError) as error:        # not there yet, or still loading
            return False, str(error)

    def stop(self, how=signal.SIGTERM):
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None

    def restart(self, how=signal.SIGTERM):
        self.stop(how)
        self.start()

    def call(self, *words):
        """One command, one answer (RESP 2)."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            s.connect(str(self.socket))
            encoded = [w if isinstance(w, bytes) else str(w).encode() for w in words]
            s.sendall(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in encoded))
            with s.makefile("rb") as answer:
                return self._read(answer)

    def _read(self, answer):
        line = answer.readline()[:-2].decode()
        kind, rest = line[:1], line[1:]
        if kind == "-":
            raise RuntimeError(rest)
        if kind == ":":
            return int(rest)
        if kind == "$":
            return None if rest == "-1" else answer.read(int(rest) + 2)[:-2].decode(errors="surrogateescape")
        if kind == "*":
            return [self._read(answer) for _ in range(int(rest))]
        return rest


# ---- the daemon ------------------------------------------------------------------------------------

def has_failpoints():
    """Was the daemon built for tests that end it at a given place?"""
    return "failure points" in subprocess.run([CRMSYNCD, "--version"], capture_output=True, text=True, check=True).stdout


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=min(30, PATIENCE))
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Daemon:
    """crmsyncd with a topology of its own. Started at once unless told otherwise."""

    def __init__(self, place, topology, name="crmsyncd", run=True, options=("--log-level", "debug"), environment=None,
                 prepare=None, program=CRMSYNCD):
        self.place, self.name, self.options, self.program = place, name, options, program
        self.directory = place.path / name
        self.directory.mkdir(mode=0o700)
        self.file = self.directory / "topology.yaml"
        self.control, self.stats = self.directory / "control.sock", self.directory / "stats.sock"
        self.environment = {**os.environ, **(environment or {})}
        self.prepare = prepare
        self.process = None
        self.write(topology)
        place.running.append(self)
        if run:
            self.start()

    def write(self, topology):
        self.file.write_text(topology.replace("@DIR@", str(self.directory)))
        self.file.chmod(0o600)

    def start(self, *more, answers=True):
        log = self.place.log_file(self.name)
        self.process = start([self.program, "-c", self.file, *self.options, *more], log, signal.SIGKILL, cwd=self.directory,
                             env=self.environment, prepare=self.prepare)
        if answers:
            eventually(self._answers, "the daemon answers")

    def _answers(self):
        if self.process.poll() is not None:
            raise Died(f"the daemon ended with {self.process.returncode}")
        try:
            return self.get("/healthz")[0] == 200
        except OSError as error:
            return False, str(error)

    def stop(self, how=signal.SIGTERM, code=0):
        """Ends it and holds it to its exit code; a kill -9 has none."""
        if self.process is None:
            return
        process, self.process = self.process, None
        ended = process.poll()
        if ended is None:
            process.send_signal(how)
            try:
                ended = process.wait(60)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGABRT)
                process.wait()
                raise Failed("the daemon did not stop within 60 s of being asked") from None
        if ended != (-how if how == signal.SIGKILL else code):
            raise Died(f"the daemon ended with {ended}")

    def kill(self):
        self.stop(signal.SIGKILL)

    def restart(self, how=signal.SIGTERM):
        self.stop(how)
        self.start()

    def finish(self, patience=None):
        """Waits until it ends by itself; its exit code."""
        process, self.process = self.process, None
        try:
            return process.wait(patience or PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Failed("the daemon did not end by itself") from None

    def run_once(self, *options, patience=None):
        self.start(*options, answers=False)
        return self.finish(patience)

    @property
    def log(self):
        path = self.place.log_file(self.name)
        return path.read_text(errors="replace") if path.exists() else ""

    def get(self, path, socket_path=None, method="GET", headers=None):
        """(status, body) from the stats socket."""
        connection = UnixConnection(socket_path or self.stats)
        try:
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def status(self):
        return json.loads(self.get("/status")[1])

    def metrics(self):
        """{'name{labels}': value}"""
        code, text = self.get("/metrics")
        if code != 200:
            raise Failed(f"/metrics answers {code}")
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in text.splitlines() if line and not line.startswith("#")}

    def endpoint(self, name):
        return next(e for e in self.status()["endpoints"] if e["name"] == name)

    def entity(self, name):
        return next(e for e in self.status()["entities"] if e["name"] == name)

    def try_ctl(self, *words, patience=None):
        return subprocess.run([CRMSYNCCTL, "-s", self.control, "--no-color", *words], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=(patience or PATIENCE) + 30, check=False)

    def ctl(self, *words, code=0, patience=None):
        """What crmsyncctl prints; held to its exit code."""
        ran = self.try_ctl(*words, patience=patience)
        if ran.returncode != code:
            raise Failed(f"crmsyncctl {' '.join(words)}: exit {ran.returncode}, wanted {code}\n{ran.stdout}{ran.stderr}")
        return ran.stdout

    def ctl_lines(self, *words, code=0, patience=None):
        """The objects of a --json stream."""
        return [json.loads(line) for line in self.ctl("--json", *words, code=code, patience=patience).splitlines()]

    def wait(self, patience=None):
        """Until everything is settled everywhere."""
        self.ctl("wait", "--timeout", f"{int(patience or PATIENCE)}s", patience=patience)

    def parked(self):
        return self.ctl_lines("parked", "list")


def topology(redis, endpoints, entities, name="acme", more=""):
    """A topology's text. `endpoints`: {name: {setting: text}}; `entities`: YAML, as in a file, not indented."""
    lines = [f"version: 1\ntopology: {name}\nstate:\n  redis: unix:{redis.socket}\nstats:\n  socket: @DIR@/stats.sock",
             "control:\n  socket: @DIR@/control.sock\njournal:\n  directory: @DIR@/journal", more.strip("\n"), "endpoints:"]
    for endpoint, settings in endpoints.items():
        lines.append(f"  {endpoint}:")
        lines += [f"    {key}: {value}" for key, value in {"driver": "postgres", **settings}.items()]
    return "\n".join(filter(None, lines)) + "\nentities:\n" + textwrap.indent(entities.strip("\n"), "  ") + "\n"
