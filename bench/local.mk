EXTRA_DIST += bench/bench bench/bench_short.sh
TESTS += bench/bench_short.sh

bench: crmsyncd crmsyncctl
	CRM_BUILDDIR=$(abs_builddir) $(PYTHON3) $(srcdir)/bench/bench $(BENCHFLAGS)
.PHONY: bench
