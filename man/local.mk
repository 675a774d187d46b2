# Each room names its pages on a line of its own.
dist_man_MANS += man/crmsyncd.yaml.5
dist_man_MANS += man/crmsyncd.8 man/crmsyncctl.1 man/crmsyncd-metrics.7 man/crmsyncd-conflicts.7
