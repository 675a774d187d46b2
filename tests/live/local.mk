# Private servers and the real daemon; `tests/live/run --help` says how to run a part of them.
dist_check_SCRIPTS += tests/live/run
TESTS += tests/live/run
EXTRA_DIST += tests/live/libpq.py tests/live/crm.py tests/live/case.py tests/live/editors.py tests/live/soak.py \
	tests/live/test_bad_days.py tests/live/test_conflicts.py tests/live/test_failure_modes.py \
	tests/live/test_first_contact.py tests/live/test_keep_every_edit.py tests/live/test_kill_matrix.py \
	tests/live/test_late_commits.py tests/live/test_mass_delete.py tests/live/test_more_rules.py \
	tests/live/test_one_writer.py tests/live/test_operator.py tests/live/test_parked.py tests/live/test_put_back.py \
	tests/live/test_rows.py tests/live/test_rules.py tests/live/test_topology.py tests/live/test_two_way.py \
	tests/live/test_type_matrix.py

# Real servers, people at work and a nemesis, for as long as one likes: make soak SEED=1 MINUTES=60
SEED = 1
MINUTES = 10
soak: $(sbin_PROGRAMS) $(bin_PROGRAMS)
	CRM_BUILDDIR='$(abs_builddir)' $(PYTHON3) $(top_srcdir)/tests/live/soak.py --seed $(SEED) --minutes $(MINUTES)
.PHONY: soak
