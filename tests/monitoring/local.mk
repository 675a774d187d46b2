dist_check_SCRIPTS += tests/monitoring/check_monitoring
TESTS += tests/monitoring/check_monitoring
EXTRA_DIST += tests/monitoring/rules_test.yml
