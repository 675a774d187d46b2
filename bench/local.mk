EXTRA_DIST += bench/bench

bench: crmsyncd crmsyncctl
	CRM_BUILDDIR=$(abs_builddir) $(PYTHON3) $(srcdir)/bench/bench $(BENCHFLAGS)
.PHONY: bench
