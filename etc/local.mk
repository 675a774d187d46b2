# Installed beside the place of the real one, which is the operator's and never overwritten.
sampledir = $(sysconfdir)/crmsyncd
nodist_sample_DATA = etc/crmsyncd.yaml.sample
EXTRA_DIST += etc/crmsyncd.yaml
CLEANFILES += etc/crmsyncd.yaml.sample
etc/crmsyncd.yaml.sample: etc/crmsyncd.yaml
	$(AM_V_GEN)$(MKDIR_P) etc && cp $(srcdir)/etc/crmsyncd.yaml $@
