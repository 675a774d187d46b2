/*
 * digest.h - keyed digests (XXH3 with a secret of this installation).
 *
 * Keyed, because digests of short personal data without a key can be reversed by guessing. The key is
 * made once from the system's entropy and kept in the state. Not a cryptographic MAC: it hides values
 * from somebody who sees the store, it does not stop somebody who holds the key.
 */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

enum { DIGEST_KEY_BYTES = 192 };

struct digest_key {
	unsigned char secret[DIGEST_KEY_BYTES];
};

void digest_key_random(struct digest_key *key);
uint64_t digest64(const struct digest_key *key, const void *p, size_t n);
void digest128(const struct digest_key *key, const void *p, size_t n, unsigned char out[16]);

/* For --version; into the caller's room. */
const char *digest_library(char *out, size_t size);

#endif
