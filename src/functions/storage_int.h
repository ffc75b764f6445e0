/* storage_int.h - what storage.c and storage_token.c share. */
#ifndef FUNCTIONS_STORAGE_INT_H
#define FUNCTIONS_STORAGE_INT_H

#include "functions/storage.h"

struct storage {
	struct storage_opts opts;
};

/* The token of this moment and nonce (tests). */
void storage_token_seal(const struct storage *s, struct uid component, uint64_t issued_s,
    const uint8_t nonce[12], struct buf *ret);

#endif
