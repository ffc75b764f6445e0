/* fetch_int.h - the HTTP client, as the files that implement it see it.
 *
 * fetch.c has the thread and its queue; transfer.c sets one transfer up and feeds its request;
 * response.c takes its response in; gunzip.c decodes bodies.
 *
 * Thread: the fetch thread, but what fetch.h lets anybody do.
 */
#ifndef FETCH_FETCH_INT_H
#define FETCH_FETCH_INT_H

#include <curl/curl.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "base/vec.h"
#include "fetch/fetch.h"
#include "fetch/gunzip.h"

#define BODY_HIGH ((size_t)256 << 10) /* of the response wait: reading stops */
#define BODY_LOW  ((size_t)64 << 10)  /* reading goes on */
#define HEAD_MAX  ((size_t)256 << 10) /* bytes of a response's headers */

enum transfer_phase { TRANSFER_NEW, TRANSFER_RUNS, TRANSFER_OVER };

struct transfer {
	_Atomic uint32_t refs;   /* the starter's, the thread's */
	struct fetch    *f;      /* one reference */
	struct transfer *next, *prev; /* of f->all */
	enum transfer_phase phase;    /* the thread's */
	struct transfer *next_poked; /* guarded by f->lock */
	bool             poked;      /* guarded by f->lock */
	_Atomic bool     cancelled;

	/* the request */
	struct arena         *arena;
	struct fetch_request  request; /* its texts in the arena */
	fetch_done            done;    /* NULL: was called */
	void                 *arg;
	CURL                 *easy;    /* NULL: not started, or over */
	struct curl_slist    *headers;
	int64_t               left;    /* bytes of a streamed body of known length; -1: unknown */
	bool                  decode;  /* gzip: the caller did not ask for the raw bytes */
	bool                  send_paused;
	bool                  sent;    /* nothing more will be read of a streamed body */

	/* the response */
	struct stream            *body;
	VEC(struct fetch_header)  got; /* texts in the arena */
	size_t                    head_bytes;
	bool                      head_over;
	int64_t                   to_receive; /* of the body; -1: unknown */
	bool                      complete;   /* all is here, though libcurl goes on */
	bool                      recv_paused;
	struct gunzip            *gunzip; /* NULL: as it comes */

	struct err error; /* our own reason for having stopped it; texts in the arena */
	char       text[CURL_ERROR_SIZE];
};

struct fetch {
	_Atomic uint32_t refs;
	struct arena    *arena; /* of the options */
	const char      *user_agent, *proxy, *ca_file;
	struct thread   *thread; /* guarded by lock until it runs */
	CURLM           *multi;
	struct transfer *all;

	pthread_mutex_t  lock;
	struct transfer *poked, **poked_end; /* to look at: new, cancelled, with news */
	bool             stopping;
};

/* --- fetch.c --- */
void transfer_poke(void *transfer); /* any thread */
void transfer_unref(struct transfer *t);

/* --- transfer.c --- */
/* Builds and adds the handle; BAD_REQUEST: the request cannot be sent. */
NODISCARD status transfer_begin(struct transfer *t);
/* Something may have changed: cancelled, room, more to send.  False: it is over. */
bool transfer_resume(struct transfer *t);
/* libcurl is done with it.  False: so are we; else its last bytes wait for room. */
bool transfer_received(struct transfer *t, CURLcode code);
/* The handle goes; `done` and the body learn of it.  `code`: libcurl's result. */
void transfer_finish(struct transfer *t, CURLcode code);

/* --- response.c --- */
void response_set_up(struct transfer *t); /* the handle's callbacks */

enum decode_state { DECODE_DONE, DECODE_WAITS, DECODE_STOP };
/* Decodes what is here, as far as there is room. */
enum decode_state response_decode(struct transfer *t);

/* --- address.c --- */
bool address_is_public(const struct sockaddr *addr);

#endif
