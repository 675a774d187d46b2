# Where bash-completion looks for them by the command's name.
bashcompletiondir = $(datadir)/bash-completion/completions
dist_bashcompletion_DATA = completions/crmsyncctl completions/crmsyncd
