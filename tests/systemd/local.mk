# What the unit is worth, as systemd itself judges it.
dist_check_SCRIPTS += tests/systemd/check_unit
TESTS += tests/systemd/check_unit
check_DATA = $(systemd_made)
