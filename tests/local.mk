dist_check_SCRIPTS += tests/tools/check_arrows
TESTS += tests/tools/check_arrows
EXTRA_DIST += tests/tools/arrows.txt tests/tools/count_tests tests/tools/scratch

# Where the live tests and the demonstration find what was built. Check allows a test 4 s, which a busy machine may take to
# start a server's sessions.
AM_TESTS_ENVIRONMENT = CRM_BUILDDIR='$(abs_builddir)'; export CRM_BUILDDIR; PYTHONDONTWRITEBYTECODE=1; \
	export PYTHONDONTWRITEBYTECODE; TMPDIR=`$(top_srcdir)/tests/tools/scratch`; export TMPDIR; \
	CK_DEFAULT_TIMEOUT=60; export CK_DEFAULT_TIMEOUT;
