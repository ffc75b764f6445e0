/* documents.h - what auth providers publish: JSON at an address, kept as long as HTTP allows.
 *
 * Discovery documents and key sets (spec 05 section 5.4).  Checking a token is synchronous and
 * uses what is here; whoever is about to check one asks first whether something must be
 * downloaded, and waits for it without blocking.  All who wait for an address share a download.
 *
 * Thread: the loop thread.  Memory: DOCUMENTS_MAX documents of at most a MiB.
 */
#ifndef AUTH_DOCUMENTS_H
#define AUTH_DOCUMENTS_H

#include "auth/auth.h"
#include "base/arena.h"

struct documents;

struct document {
	const struct json *json;       /* NULL: there is none, see why */
	bool               json_type;  /* its Content-Type is one of JSON or of key sets */
	int                http;       /* status of the last answer; 0: none came */
	str                why;        /* what the last download ended with, for people */
	uint64_t           loaded_ns;  /* monotonic: when the last download ended */
};

/* `fetch` NULL: nothing can be downloaded. */
struct documents *documents_new(struct fetch *fetch, struct gate gate, const struct os *os);
/* Downloads end, who waits is told; nothing goes through the gate any more. */
void documents_stop(struct documents *d);
void documents_free(struct documents *d); /* after fetch_free() */

/* True: `w` waits for a newer document than is here, and token_again(w) comes with it.  What
 * came since w->since_ns is new enough, whatever HTTP says. */
bool documents_wait(struct documents *d, str url, struct auth_wait *w);
/* Waits for a newer one than is here even if HTTP would not; false if that is not `min_age_ns`
 * old. */
bool documents_renew(struct documents *d, str url, uint64_t min_age_ns, struct auth_wait *w);
/* What is here, however old; NULL: nothing was asked for.  Valid until the loop's next turn. */
const struct document *documents_get(const struct documents *d, str url);

/* In user_token.c: the next thing that is missing, or ready(). */
void token_again(struct auth_wait *w);

#endif
