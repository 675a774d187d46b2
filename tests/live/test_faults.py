"""The table of faults (faults.py) is complete and true; some of them are tried here, all by tests/live/run --faults."""
import os
import pathlib
import re
import subprocess
import unittest

import crm
from case import needs_failpoints
from faults import FAULTS, UNSEEN

HERE = pathlib.Path(__file__).resolve().parent


class Table(unittest.TestCase):
    def test_each_mode_has_a_fault(self):
        self.assertEqual(sorted({fault.mode for fault in FAULTS}), [f"F{n:02}" for n in range(1, 36)])

    def test_each_test_of_a_mode_sees_a_fault_or_it_is_said_why_it_cannot(self):
        files = {file.stem: set(re.findall(r"\btest_f\d\d_\w+\b(?!\{)", file.read_text())) for file in HERE.glob("test_*.py") if file.stem != "test_faults"}
        for fault in FAULTS:
            module, _, method = fault.test.split(".")
            self.assertIn(method, files[module])
            self.assertIn(fault.mode.lower(), method.split("_"))
        seen = {fault.test.split(".")[2] for fault in FAULTS}
        self.assertEqual(seen & set(UNSEEN), set())
        self.assertEqual(set().union(*files.values()), seen | set(UNSEEN))

    def test_each_fault_stands_in_the_source_and_each_that_stands_there_is_tried(self):
        sources = [file.read_text() for file in (HERE.parents[1] / "src").rglob("*.[ch]") if file.name != "fault.h"]
        self.assertEqual({name for text in sources for name in re.findall(r'\bfault\("([^"]*)"\)', text)}, {fault.name for fault in FAULTS})

    def test_nothing_of_them_is_in_a_program_that_was_built_without_failure_points(self):
        program = pathlib.Path(crm.CRMSYNCD).read_bytes()
        found = {fault.name for fault in FAULTS if fault.name.encode() in program or b"CRMSYNCD_FAULT" in program}
        self.assertEqual(found, {fault.name for fault in FAULTS} if crm.has_failpoints() else set())


@needs_failpoints
class Some(unittest.TestCase):
    def test_tests_fail_while_the_protection_is_out_that_they_are_for(self):
        ran = subprocess.run([HERE / "run", "--faults", "-j", "3", "-k", "f09-reads", "-k", "f13-the-old", "-k", "f14-a-cycle"],
                             env={**os.environ, "CRM_PATIENCE": "30"}, capture_output=True, text=True, check=False)
        self.assertEqual(ran.stdout.count(" saw it fail: "), 6, ran.stdout + ran.stderr)
        self.assertEqual(ran.returncode, 0)


if __name__ == "__main__":
    unittest.main()
