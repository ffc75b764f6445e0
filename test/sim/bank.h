/* bank.h - what the simulated functions share: packing, and the attempt that is written down.
 *
 * Thread: one, on fibers.  Memory: the call's arena.
 */
#ifndef SIM_BANK_H
#define SIM_BANK_H

#include "database/ddl.h"
#include "database/query.h"
#include "sim.h"

struct account {
	char id[ID_TEXT_MAX]; /* empty: there is none */
};

/* The attempt that is running. */
struct run {
	const struct native_call *c;
	struct sim               *s;
	struct attempt           *a;
	bool                      full; /* reads whole tables */
	struct account            ids[ACCOUNTS];
};

struct val int_val(struct arena *a, int64_t n);
/* `text`, or {field: text}. */
struct val text_val(struct arena *a, const char *field, str text);
uint32_t   arg_u32(const struct native_call *c, const char *name);

void   run_begin(struct run *r, const struct native_call *c);
/* A read to be filled in. */
struct read *run_note(struct run *r, enum read_kind kind, uint32_t lo, uint32_t hi);
/* Mutations leave a row that says they happened. */
status run_end(struct run *r, int64_t result, struct val *ret, struct err *e);

/* A page of the accounts by balance, as paginate() makes it. */
status pages_read(const struct native_call *c, struct val *ret, struct err *e);
status notes_add(const struct native_call *c, struct val *ret, struct err *e);
status notes_forget(const struct native_call *c, struct val *ret, struct err *e);
status notes_count(const struct native_call *c, struct val *ret, struct err *e);

#endif
