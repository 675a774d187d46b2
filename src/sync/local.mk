libcrmsync_a_SOURCES += \
	src/sync/backup.c \
	src/sync/census.c src/sync/census.h \
	src/sync/claims.c src/sync/claims.h \
	src/sync/epoch.c \
	src/sync/feed.c src/sync/feed.h \
	src/sync/held.c \
	src/sync/images.c \
	src/sync/keys.c \
	src/sync/listing.c \
	src/sync/meters.c src/sync/meters_keep.c \
	src/sync/migrate.c src/sync/migrate.h \
	src/sync/migrate_list.c \
	src/sync/migrate_load.c \
	src/sync/migrate_mark.c \
	src/sync/migrate_round.c \
	src/sync/observe.c \
	src/sync/own.c \
	src/sync/park.c \
	src/sync/plan.c \
	src/sync/rebase.c \
	src/sync/recover.c \
	src/sync/restore.c src/sync/restore.h \
	src/sync/retry.c \
	src/sync/round.c src/sync/round.h \
	src/sync/round_ahead.h src/sync/round_books.c \
	src/sync/round_exchange.c \
	src/sync/round_follow.c \
	src/sync/round_forms.c \
	src/sync/round_meant.c \
	src/sync/round_forward.c \
	src/sync/round_journal.c \
	src/sync/round_mark.c \
	src/sync/round_parents.c \
	src/sync/round_read.c \
	src/sync/round_recall.c \
	src/sync/round_write.c \
	src/sync/scan.c \
	src/sync/state.h \
	src/sync/sync.c src/sync/sync.h \
	src/sync/undo.c src/sync/undo.h \
	src/sync/undo_fold.c \
	src/sync/undo_queue.c \
	src/sync/undo_referred.c \
	src/sync/undo_round.c \
	src/sync/verify.c src/sync/verify.h \
	src/sync/verify_from.c \
	src/sync/verify_keep.c \
	src/sync/verify_list.c \
	src/sync/verify_look.c \
	src/sync/verify_mend.c \
	src/sync/verify_sums.c \
	src/sync/wait.c \
	src/sync/watermark.c \
	src/sync/waiting.c
