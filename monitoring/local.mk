# For those who watch it with Prometheus and Grafana.
monitoringdir = $(pkgdatadir)/monitoring
dist_monitoring_DATA = monitoring/crmsyncd.rules.yml monitoring/crmsyncd.dashboard.json
