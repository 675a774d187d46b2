# Made here rather than by configure, so that the directories may still be given to make.
systemd_made = systemd/crmsyncd.service systemd/sysusers.d/crmsyncd.conf systemd/tmpfiles.d/crmsyncd.conf
EXTRA_DIST += systemd/crmsyncd.service.in systemd/sysusers.d/crmsyncd.conf.in systemd/tmpfiles.d/crmsyncd.conf.in
CLEANFILES += $(systemd_made)

if INSTALL_SYSTEMD
systemdunitdir = $(systemdsystemunitdir)
nodist_systemdunit_DATA = systemd/crmsyncd.service
sysusersdir = $(prefix)/lib/sysusers.d
nodist_sysusers_DATA = systemd/sysusers.d/crmsyncd.conf
tmpfilesdir = $(prefix)/lib/tmpfiles.d
nodist_tmpfiles_DATA = systemd/tmpfiles.d/crmsyncd.conf
endif

# '@sbindir[@]' and so on: configure must not fill this in by itself.
$(systemd_made): %: %.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(SED) -e 's|@bindir[@]|$(bindir)|g' -e 's|@sbindir[@]|$(sbindir)|g' \
		-e 's|@sysconfdir[@]|$(sysconfdir)|g' \
		'$(srcdir)/$@.in' >$@.new && mv $@.new $@
