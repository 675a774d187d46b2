#include "base/digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

void digest_key_random(struct digest_key *key)
{
	size_t got = 0;

	while (got < sizeof key->secret) {
		ssize_t n = getrandom(key->secret + got, sizeof key->secret - got, 0);

		if (n <= 0)
			abort();	/* no entropy, no key: better not to start */
		got += (size_t)n;
	}
}

uint64_t digest64(const struct digest_key *key, const void *p, size_t n)
{
	return XXH3_64bits_withSecret(p, n, key->secret, sizeof key->secret);
}

void digest128(const struct digest_key *key, const void *p, size_t n, unsigned char out[16])
{
	XXH128_hash_t h = XXH3_128bits_withSecret(p, n, key->secret, sizeof key->secret);
	XXH128_canonical_t c;

	XXH128_canonicalFromHash(&c, h);
	memcpy(out, c.digest, 16);
}

const char *digest_library(char *out, size_t size)
{
	unsigned built = XXH_VERSION_NUMBER, runs = XXH_versionNumber();

	snprintf(out, size, "xxHash built with %u.%u.%u, runs on %u.%u.%u", built / 10000, built / 100 % 100, built % 100, runs / 10000,
		 runs / 100 % 100, runs % 100);
	return out;
}
