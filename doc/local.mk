EXTRA_DIST += doc/canonical.md doc/identity.md doc/own-writes.md
