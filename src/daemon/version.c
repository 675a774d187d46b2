#include "daemon/version.h"

#include "base/digest.h"
#include "conf/topology.h"
#include "config.h"
#include "control/control.h"
#include "endpoint/endpoint.h"
#include "journal/journal.h"
#include "journal/journal_images.h"
#include "loop/loop.h"
#include "store/store.h"

/* Each library is known to one room only, which therefore says its version. */
void version_print(FILE *to)
{
	char line[128];

	fprintf(to, "crmsyncd %s\n", PACKAGE_VERSION);
#ifdef WITH_FAILPOINTS
	fprintf(to, "  with failure points: for tests only\n");
#endif
	fprintf(to, "  %s\n", loop_library(line, sizeof line));
	fprintf(to, "  %s\n", postgres_library(line, sizeof line));
	fprintf(to, "  %s\n", redis_library(line, sizeof line));
	fprintf(to, "  %s\n", journal_library(line, sizeof line));
	fprintf(to, "  %s\n", journal_images_library(line, sizeof line));
	fprintf(to, "  %s\n", conf_library(line, sizeof line));
	fprintf(to, "  %s\n", control_library(line, sizeof line));
	fprintf(to, "  %s\n", digest_library(line, sizeof line));
}
