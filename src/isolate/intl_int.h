/* intl_int.h - what JavaScript's Intl (js/prelude/intl*.js) asks of ICU.
 *
 * Options are processed in JavaScript; what comes here are plain strings and numbers that say all
 * about a formatter, and what goes back are strings, numbers and flat lists.  An operation sees
 * neither the engine nor its heap: intl.c copies arguments to host memory first and makes values
 * of the result afterwards, so no jump (guard.h) ever passes through ICU and no heap image holds
 * one of its objects.
 *
 * Opening a formatter takes up to a millisecond, using it some microseconds.  So they are kept,
 * the least recently used ones are closed.
 *
 * Thread: any; each has formatters of its own, since those for dates may not be shared.  ICU is
 * not touched before the first operation.
 */
#ifndef ISOLATE_INTL_INT_H
#define ISOLATE_INTL_INT_H

#include <unicode/ucal.h>
#include <unicode/uformattedvalue.h>
#include <unicode/utypes.h>

#include "base/arena.h"
#include "base/vec.h"

#define INTL_ENTRIES  48 /* formatters kept open */
#define INTL_ARGS_MAX 8
#define INTL_ID_MAX   256 /* bytes of an ICU locale id */

/* UTF-16 text; borrowed. */
struct utext16 {
	const UChar *p;
	size_t       n; /* units */
};

struct intl_arg {
	const char     *z;     /* 's': UTF-8; 'v': a decimal number, NULL: `number` is it */
	struct utext16  u;     /* 'u' */
	double          number; /* 'n', 'v' */
	struct utext16 *list;  /* 'l' */
	size_t          nlist;
};

/* An element of a result: ASCII or UTF-16 text, or a number. */
struct intl_item {
	const char    *z; /* NULL: u, or number if u.p is NULL too */
	struct utext16 u;
	double         number;
};

enum intl_shape { INTL_NOTHING, INTL_ONE, INTL_LIST };
struct intl_out {
	enum intl_shape       shape;
	VEC(struct intl_item) items; /* INTL_ONE: one */
};

struct intl;

/* One call: `arena` lives until the next one. */
struct intl_call {
	struct intl          *in;
	struct arena         *arena;
	const struct intl_arg *v;
	struct intl_out      *out;
};

/* False: ICU could not. */
typedef bool intl_fn(const struct intl_call *c);

struct intl_op {
	const char *name;
	const char *args; /* a letter each, as in struct intl_arg */
	intl_fn    *fn;
};

/* intl_number.c, intl_date.c, intl_locale.c, intl_text.c, intl_names.c: ended by a NULL name */
extern const struct intl_op intl_number_ops[], intl_date_ops[], intl_locale_ops[],
    intl_text_ops[], intl_names_ops[];

/* --- results --- */

void intl_text(const struct intl_call *c, const UChar *p, size_t n); /* copies */
void intl_ascii(const struct intl_call *c, const char *z);           /* copies */
void intl_number(const struct intl_call *c, double number);
/* Elements of a list.  `z` is a constant, the text is copied. */
void intl_list(const struct intl_call *c);
void intl_add_z(const struct intl_call *c, const char *z);
void intl_add_ascii(const struct intl_call *c, const char *z); /* copies */
void intl_add_text(const struct intl_call *c, const UChar *p, size_t n);
void intl_add_number(const struct intl_call *c, double number);

/* --- fields of formatted text --- */

struct intl_field {
	int32_t category, field, begin, end;
};

struct intl_fields {
	struct utext16           text;
	VEC(struct intl_field)   v;
	int32_t                  span[2][2]; /* of a range's start and end; [0][0] < 0: none */
};

/* What JavaScript calls a field; NULL: it is part of its surroundings. */
typedef const char *intl_namer(const struct intl_field *f, void *arg);

/* Text and fields of a formatted value.  The text is borrowed. */
bool intl_fields_of(const UFormattedValue *value, int32_t span_category, struct intl_fields *ret);
void intl_fields_clear(struct intl_fields *f);
/* The list [type, text, ...], or [type, text, source, ...] with `sources`. */
void intl_parts(const struct intl_call *c, struct intl_fields *f, bool sources, intl_namer *name,
    void *arg);

/* --- intl_cache.c --- */

#define INTL_OBJECTS 4

struct intl_entry {
	const struct intl_class *class; /* NULL: a free slot */
	char                    *key;
	size_t                   nkey;
	uint64_t                 hash, used_at;
	void                    *obj[INTL_OBJECTS];
};

struct intl_class {
	/* Opens what `parts` say.  False: nothing is open but what obj[] holds. */
	bool (*open)(struct intl_entry *e, const char *const *parts);
	void (*close)(struct intl_entry *e); /* NULL members of obj[] are fine */
};

/* The entry of this class that is open for these strings; NULL: it cannot be opened.  It outlives
 * the next few. */
struct intl_entry *intl_open(struct intl *in, const struct intl_class *class,
    const char *const *parts, size_t nparts);
#define INTL_OPEN(c, class, ...)                                              \
	intl_open((c)->in, &(class), (const char *const[]){ __VA_ARGS__ },    \
	    sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

/* This thread's, made at its first use and freed when the thread ends. */
struct intl *intl_here(void);
/* Begins a call: the memory of the last one is let go. */
struct intl_call intl_begin(void);

/* --- common conversions --- */

/* ICU's id of a BCP 47 tag. */
bool           intl_id(const char *tag, char ret[INTL_ID_MAX]);
UCalendar     *intl_calendar(const char *tag); /* the one of its locale, in UTC; or NULL */
struct utext16 intl_utf16(struct arena *a, const char *z);
char          *intl_utf8(struct arena *a, struct utext16 u);

/* --- intl_text.c --- */

/* As the collator of a locale that orders ASCII as the root does; both are UTF-8. */
int intl_compare(const char *tag, str a, str b);
/* The same if both are printable ASCII: true and the order. */
bool intl_compare_ascii(str a, str b, int *ret);

#endif
