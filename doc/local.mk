EXTRA_DIST += doc/backup.md doc/canonical.md doc/epoch.md doc/identity.md doc/migrate.md doc/own-writes.md doc/ratios.md doc/store.md doc/undo.md doc/verify.md
