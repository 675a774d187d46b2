"""confine.py - a program under the filters of the unit, set as systemd sets them, and what they kept from it.

    c = Confinement("build/systemd/crmsyncd.service")
    start(..., prepare=c.prepare)           c.prepare() runs in the child, just before it becomes the program
    c.denied                                {"prlimit64": 2}: calls that were refused, with the unit's own error

The list of calls comes from systemd (systemd-analyze syscall-filter), the filter is made by libseccomp, which systemd
itself uses. SystemCallFilter, SystemCallErrorNumber, RestrictAddressFamilies and MemoryDenyWriteExecute are followed; the
kernel asks us about each call that is not allowed, so that none goes unnoticed.
"""
import collections
import ctypes
import errno
import os
import pathlib
import re
import select
import socket
import subprocess
import threading

ALLOW, NOTIFY = 0x7fff0000, 0x7fc00000
EQUAL, MASKED_EQUAL = 4, 7
PROT_WRITE, PROT_EXEC = 2, 4


class _Compare(ctypes.Structure):
    _fields_ = [("argument", ctypes.c_uint), ("how", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


class _Question(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint64), ("pid", ctypes.c_uint32), ("flags", ctypes.c_uint32), ("number", ctypes.c_int),
                ("arch", ctypes.c_uint32), ("ip", ctypes.c_uint64), ("arguments", ctypes.c_uint64 * 6)]


class _Answer(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint64), ("value", ctypes.c_int64), ("error", ctypes.c_int32), ("flags", ctypes.c_uint32)]


def _library():
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = [ctypes.c_uint32]
    library.seccomp_rule_add_array.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p]
    library.seccomp_syscall_resolve_num_arch.restype = ctypes.c_char_p
    library.seccomp_syscall_resolve_num_arch.argtypes = [ctypes.c_uint32, ctypes.c_int]
    for name in ("seccomp_load", "seccomp_notify_fd", "seccomp_release"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    for name in ("seccomp_notify_receive", "seccomp_notify_respond"):
        getattr(library, name).argtypes = [ctypes.c_int, ctypes.c_void_p]
    return library


def groups():
    """{"@network-io": ["accept", ...]} as this systemd has them."""
    found, current = {}, None
    for line in subprocess.run(["systemd-analyze", "syscall-filter"], capture_output=True, text=True, check=True).stdout.splitlines():
        line = re.sub("\x1b\\[[0-9;]*m", "", line)
        if line.startswith("@"):
            current = found.setdefault(line.strip(), [])
        elif line.startswith("    ") and not line.strip().startswith("#"):
            current.append(line.strip())
    return found


class Confinement:
    def __init__(self, unit):
        self.settings = collections.defaultdict(list)
        for line in pathlib.Path(unit).read_text().splitlines():
            name, sign, value = line.partition("=")
            if sign and not line.startswith("#"):
                self.settings[name].append(value)
        self.denied = collections.Counter()
        self.error = getattr(errno, self.settings["SystemCallErrorNumber"][-1])
        self.seccomp = _library()
        self.filter = self._make()
        self.ours, self.theirs = socket.socketpair()
        threading.Thread(target=self._serve, daemon=True).start()

    def calls(self):
        """What SystemCallFilter leaves: the first list says what is allowed, those with ~ take away; @default is always in."""
        sets, allowed = groups(), set()

        def expand(word):
            return {call for each in sets[word] for call in expand(each)} if word.startswith("@") else {word}

        for value in ["@default", *self.settings["SystemCallFilter"]]:
            words = set().union(*(expand(word) for word in value.lstrip("~").split()))
            allowed = allowed - words if value.startswith("~") else allowed | words
        return allowed

    def _allow(self, name, *comparisons):
        number = self.seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:                 # else a call of another architecture
            array = (_Compare * len(comparisons))(*comparisons)
            problem = self.seccomp.seccomp_rule_add_array(self.filter, ALLOW, number, len(comparisons), array)
            assert problem == 0, (name, problem)

    def _make(self):
        self.filter = self.seccomp.seccomp_init(NOTIFY)
        for name in self.calls() - {"socket", "mmap", "mprotect"}:
            self._allow(name)
        for family in self.settings["RestrictAddressFamilies"][-1].split():
            self._allow("socket", _Compare(0, EQUAL, getattr(socket, family), 0))
        assert self.settings["MemoryDenyWriteExecute"] == ["yes"]
        for protection in (0, PROT_WRITE, PROT_EXEC):
            self._allow("mmap", _Compare(2, MASKED_EQUAL, PROT_WRITE | PROT_EXEC, protection))
        self._allow("mprotect", _Compare(2, MASKED_EQUAL, PROT_EXEC, 0))
        return self.filter

    def prepare(self):
        assert self.seccomp.seccomp_load(self.filter) == 0
        socket.send_fds(self.theirs, [b"f"], [self.seccomp.seccomp_notify_fd(self.filter)])

    def _serve(self):
        """One child after the other."""
        while True:
            _, descriptors, _, _ = socket.recv_fds(self.ours, 1, 1)
            if not descriptors:
                return
            try:
                self._answer(descriptors[0])
            finally:
                os.close(descriptors[0])

    def _answer(self, descriptor):
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while not poll.poll()[0][1] & select.POLLHUP:
            question = _Question()
            if self.seccomp.seccomp_notify_receive(descriptor, ctypes.byref(question)) != 0:
                continue                # it was killed meanwhile
            name = self.seccomp.seccomp_syscall_resolve_num_arch(question.arch, question.number).decode()
            family = name == "socket"
            self.denied[f"socket({question.arguments[0]})" if family else name] += 1
            answer = _Answer(question.id, 0, -(errno.EAFNOSUPPORT if family else self.error), 0)
            self.seccomp.seccomp_notify_respond(descriptor, ctypes.byref(answer))
