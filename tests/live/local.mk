# Private servers and the real daemon; `tests/live/run --help` says how to run a part of them.
dist_check_SCRIPTS += tests/live/run
TESTS += tests/live/run
EXTRA_DIST += tests/live/libpq.py
EXTRA_DIST += tests/live/crm.py
EXTRA_DIST += tests/live/browser.py
EXTRA_DIST += tests/live/case.py
EXTRA_DIST += tests/live/confine.py
EXTRA_DIST += tests/live/editors.py
EXTRA_DIST += tests/live/soak.py
EXTRA_DIST += tests/live/soak_rules.py
EXTRA_DIST += tests/live/test_backup.py
EXTRA_DIST += tests/live/test_bad_days.py
EXTRA_DIST += tests/live/test_black_hole.py
EXTRA_DIST += tests/live/test_books.py
EXTRA_DIST += tests/live/test_completion.py
EXTRA_DIST += tests/live/test_conflicts.py
EXTRA_DIST += tests/live/test_failure_modes.py
EXTRA_DIST += tests/live/test_first_contact.py
EXTRA_DIST += tests/live/test_keep_every_edit.py
EXTRA_DIST += tests/live/test_interrupted.py
EXTRA_DIST += tests/live/test_keys.py
EXTRA_DIST += tests/live/test_kill_matrix.py
EXTRA_DIST += tests/live/test_large.py
EXTRA_DIST += tests/live/test_late_commits.py
EXTRA_DIST += tests/live/test_lost_replies.py
EXTRA_DIST += tests/live/test_manual.py
EXTRA_DIST += tests/live/test_mass_delete.py
EXTRA_DIST += tests/live/test_monitoring.py
EXTRA_DIST += tests/live/test_more_failure_modes.py
EXTRA_DIST += tests/live/test_more_rules.py
EXTRA_DIST += tests/live/test_one_writer.py
EXTRA_DIST += tests/live/test_operator.py
EXTRA_DIST += tests/live/test_page.py
EXTRA_DIST += tests/live/test_parked.py
EXTRA_DIST += tests/live/test_plan.py
EXTRA_DIST += tests/live/test_put_back.py
EXTRA_DIST += tests/live/test_ratios.py
EXTRA_DIST += tests/live/test_reload.py
EXTRA_DIST += tests/live/test_rows.py
EXTRA_DIST += tests/live/test_rules.py
EXTRA_DIST += tests/live/test_search_path.py
EXTRA_DIST += tests/live/test_service.py
EXTRA_DIST += tests/live/test_stamps.py
EXTRA_DIST += tests/live/test_topology.py
EXTRA_DIST += tests/live/test_two_way.py
EXTRA_DIST += tests/live/test_type_matrix.py
EXTRA_DIST += tests/live/test_undo.py
EXTRA_DIST += tests/live/test_verify.py
EXTRA_DIST += tests/live/test_zones.py

# Real servers, people at work and a nemesis, for as long as one likes: make soak SEED=1 MINUTES=60
SEED = 1
MINUTES = 10
soak: $(sbin_PROGRAMS) $(bin_PROGRAMS)
	CRM_BUILDDIR='$(abs_builddir)' $(PYTHON3) $(top_srcdir)/tests/live/soak.py --seed $(SEED) --minutes $(MINUTES)
.PHONY: soak
