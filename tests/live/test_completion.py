"""The completion of bash, in a bash."""
import json
import pathlib
import shlex
import subprocess
import unittest

from case import ThreeCrms
from crm import CRMSYNCCTL, CRMSYNCD

COMPLETIONS = pathlib.Path(__file__).resolve().parents[2] / "completions"


def tab(program, *words):
    """What is offered when TAB is pressed behind these words, cut up as readline does; files are told by their path."""
    name = pathlib.Path(program).name
    script = f"""
set -u
source {shlex.quote(str(COMPLETIONS / name))}
complete -p {name} >/dev/null || exit 3
COMP_WORDS=({shlex.join([name, *map(str, words)])}) COMP_CWORD={len(words)}
COMPREPLY=()
_{name} {shlex.quote(program)} "${{COMP_WORDS[COMP_CWORD]}}" "${{COMP_WORDS[COMP_CWORD - 1]}}"
printf '%s\\n' "${{COMPREPLY[@]-}}"
"""
    ran = subprocess.run(["bash", "--norc", "--noprofile", "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stderr == "", ran.stderr
    return ran.stdout.split()


class Completion(ThreeCrms):
    def test_the_client_asks_the_daemon_for_names(self):
        self.start()
        daemon = ("-s", self.d.control)
        self.assertEqual(tab(CRMSYNCCTL, "pau"), ["pause"])
        self.assertEqual(tab(CRMSYNCCTL, *daemon, "pause", ""), ["sales", "support", "billing", "account", "contact"])
        self.assertEqual(tab(CRMSYNCCTL, "--socket", "=", self.d.control, "install", "s"), ["sales", "support"])
        self.assertEqual(tab(CRMSYNCCTL, *daemon, "conflicts", "--entity", "co"), ["contact"])
        self.assertEqual(tab(CRMSYNCCTL, *daemon, "parked", "sh"), ["show"])
        self.populate(self.sales)
        self.support.add("long@example.org", phone="1" * 21)
        self.d.wait()
        number = json.loads(self.d.ctl("parked", "list", "--json").splitlines()[0])["id"]
        self.assertEqual(tab(CRMSYNCCTL, *daemon, "parked", "retry", ""), [str(number)])

    def test_files_are_offered_where_a_file_is_wanted(self):
        (self.place.path / "one.yaml").touch()
        begun = self.place.path / "on"
        for words in (("backup", begun), ("restore", begun)):
            self.assertEqual(tab(CRMSYNCCTL, *words), [str(self.place.path / "one.yaml")])
        self.assertEqual(tab(CRMSYNCCTL, "restore", "--re"), ["--replace"])
        for words in (("-c", begun), ("--config", "=", begun)):
            self.assertEqual(tab(CRMSYNCCTL, *words), [str(self.place.path / "one.yaml")])
            self.assertEqual(tab(CRMSYNCD, *words[-2:] if words[1] != "=" else ("-c", begun)), [str(self.place.path / "one.yaml")])

    def test_without_a_daemon_nothing_is_said(self):
        self.assertEqual(tab(CRMSYNCCTL, "-s", "/nowhere", "pause", ""), [])

    def test_the_daemons_options(self):
        offered = tab(CRMSYNCD, "--")
        for option in ("--config", "--check-config", "--print-config", "--print-schema", "--once", "--paused", "--restore", "--log-level", "--log-format"):
            self.assertIn(option, offered)
        self.assertEqual(tab(CRMSYNCD, "--log-level", "w"), ["warn"])
        self.assertEqual(tab(CRMSYNCD, "--log-format", ""), ["text", "json"])


if __name__ == "__main__":
    unittest.main()
