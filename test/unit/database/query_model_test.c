/* query_model_test.c - random queries against a search through all documents.
 *
 * Documents hold values of every type, also nested, missing and equal ones; queries have random
 * ranges on six indexes (undefined bounds, other types, _creationTime and _id as suffix,
 * equalities in any order), random filters (arithmetic and its errors included) and limits in
 * any place.  Between transactions the database restarts or forgets what it holds in memory.  The
 * answer that is expected comes from query_model.h, which shares no code with the database.
 *
 * Thread: one.  Memory: the fixture's arena.
 */
#include "query_model.h"

#define DOCS_MAX 160

static const char schema[] =
    "{\"tables\":[{\"tableName\":\"t\",\"indexes\":["
    "{\"indexDescriptor\":\"by_a\",\"fields\":[\"a\"]},"
    "{\"indexDescriptor\":\"by_ab\",\"fields\":[\"a\",\"b\"]},"
    "{\"indexDescriptor\":\"by_ox\",\"fields\":[\"o.x\"]},"
    "{\"indexDescriptor\":\"by_boa\",\"fields\":[\"b\",\"o.x\",\"a\"]}],"
    "\"documentType\":null}]}";

static const struct {
	const char *name, *fields[6];
} indexes[] = {
	{ "by_a", { "a", "_creationTime", "_id" } },
	{ "by_ab", { "a", "b", "_creationTime", "_id" } },
	{ "by_ox", { "o.x", "_creationTime", "_id" } },
	{ "by_boa", { "b", "o.x", "a", "_creationTime", "_id" } },
	{ "by_creation_time", { "_creationTime", "_id" } },
	{ "by_id", { "_id" } },
};

static const char *const paths[] = { "a", "b", "o.x", "o", "o.x.x", "zzz", "_creationTime", "_id" };

struct mdoc {
	bool        there;
	struct mval value; /* with its system fields */
	str         id;
};

struct model {
	struct fix *f;
	uint64_t    dice;
	size_t      n;
	struct mdoc docs[DOCS_MAX];
	size_t      errors, rows; /* how often the interesting happened */
};

static size_t
draw(struct model *m, size_t below)
{
	return (size_t)(fix_draw(&m->dice) >> 16) % below;
}

/* --- values --- */

static struct mval
any_int(struct model *m)
{
	static const int64_t pool[] = { 0, 1, -1, 2, 127, 128, -129, 65536, INT64_MAX, INT64_MIN };

	return (struct mval){ .kind = M_INT, .i = pool[draw(m, COUNT_OF(pool))] };
}

static struct mval
any_float(struct model *m)
{
	const double pool[] = { 0.0, -0.0, 1, -1, 2, 1.5, 1e300, -1e300, 5e-324, INFINITY,
		-INFINITY, (double)NAN };

	return (struct mval){ .kind = M_FLOAT, .d = pool[draw(m, COUNT_OF(pool))] };
}

static struct mval
any_text(struct model *m)
{
	static const struct {
		const char *p;
		size_t      n;
	} pool[] = { { "", 0 }, { "a", 1 }, { "a\0", 2 }, { "a\0x", 3 }, { "ab", 2 }, { "b", 1 },
		{ "\xef\xbf\xbf", 3 }, { "\xf0\x90\x80\x80", 4 }, { "\xc3\xa9", 2 } };
	size_t at = draw(m, COUNT_OF(pool));

	return (struct mval){ .kind = M_STRING, .s = str_of(pool[at].p, pool[at].n) };
}

static struct mval
any_bytes(struct model *m)
{
	static const char room[] = "\0\xff\x00\x01\xff";

	return (struct mval){ .kind = M_BYTES, .s = str_of(room + draw(m, 3), draw(m, 3)) };
}

static struct mval any_value(struct model *m, int depth);

static struct mval
any_members(struct model *m, enum mkind kind, int depth)
{
	static const char *const names[] = { "", "A", "x", "x2", "y" };
	struct arena *a = m->f->arena;
	struct mval  *items = ARENA_ARRAY(a, struct mval, COUNT_OF(names));
	str          *keys = ARENA_ARRAY(a, str, COUNT_OF(names));
	size_t        n = 0;

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (draw(m, 3))
			continue;
		keys[n] = str_z(names[i]);
		items[n++] = any_value(m, depth - 1);
	}
	return (struct mval){ .kind = kind, .n = n, .names = keys, .items = items };
}

static struct mval
any_value(struct model *m, int depth)
{
	switch (draw(m, depth > 0 ? 9 : 7)) {
	case 0:
		return (struct mval){ .kind = M_NULL };
	case 1:
		return (struct mval){ .kind = M_BOOL, .b = draw(m, 2) };
	case 2:
		return any_int(m);
	case 3:
	case 4:
		return any_float(m);
	case 5:
		return any_text(m);
	case 6:
		return any_bytes(m);
	case 7:
		return any_members(m, M_ARRAY, depth);
	default:
		return any_members(m, M_OBJECT, depth);
	}
}

/* A bound: of a document most of the time, so that ranges have something to hit. */
static const struct mval *
any_bound(struct model *m, const char *field)
{
	struct mval *v = ARENA_NEW(m->f->arena, struct mval);

	if (draw(m, 8) == 0)
		return &m_undefined;
	if (m->n && draw(m, 4))
		return m_path(&m->docs[draw(m, m->n)].value, str_z(field));
	*v = any_value(m, 2);
	return v;
}

/* --- writes, in both worlds --- */

static struct mval
any_doc(struct model *m)
{
	struct arena *a = m->f->arena;
	struct mval  *items = ARENA_ARRAY(a, struct mval, 3);
	str          *names = ARENA_ARRAY(a, str, 3);
	size_t        n = 0;

	for (size_t i = 0; i < 2; i++) {
		if (draw(m, 6) == 0)
			continue;
		names[n] = i ? S("b") : S("a");
		items[n++] = any_value(m, 2);
	}
	if (draw(m, 6)) { /* mostly an object with x, sometimes something that has no x */
		names[n] = S("o");
		items[n] = draw(m, 4) ? any_members(m, M_OBJECT, 2) : any_value(m, 1);
		n++;
	}
	return (struct mval){ .kind = M_OBJECT, .n = n, .names = names, .items = items };
}

static struct val
packed(struct model *m, const struct mval *v)
{
	struct buf b;
	struct val ret;

	buf_init(&b, BUF_MAX_DEFAULT);
	m_json(&b, v);
	ret = fix_val(m->f, arena_z(m->f->arena, buf_str(&b)));
	buf_clear(&b);
	return ret;
}

/* The body as the model keeps it: with the system fields, in the order of names. */
static void
keep(struct model *m, struct mdoc *d, const struct mval *body, str id, double creation_time)
{
	struct mval *items = ARENA_ARRAY(m->f->arena, struct mval, body->n + 2);
	str         *names = ARENA_ARRAY(m->f->arena, str, body->n + 2);

	names[0] = S("_creationTime");
	items[0] = (struct mval){ .kind = M_FLOAT, .d = creation_time };
	names[1] = S("_id");
	items[1] = (struct mval){ .kind = M_STRING, .s = id };
	for (size_t i = 0; i < body->n; i++) {
		names[i + 2] = body->names[i];
		items[i + 2] = body->items[i];
	}
	*d = (struct mdoc){ .there = true, .id = id,
		.value = { .kind = M_OBJECT, .n = body->n + 2, .names = names, .items = items } };
}

static void
insert_one(struct model *m, struct txn *t)
{
	struct mval  body = any_doc(m);
	char         text[ID_TEXT_MAX];
	struct docid id;
	struct doc  *d;
	str          name;

	CHECK_EQ(txn_insert(t, S("t"), packed(m, &body), &id, &m->f->err), ST_OK);
	name = arena_str(m->f->arena, str_of(text, id_format(id, text)));
	CHECK_EQ(txn_get(t, STR_EMPTY, name, false, &d, &m->f->err), ST_OK);
	keep(m, &m->docs[m->n++], &body, name, d->creation_time);
}

static void
write_one(struct model *m, struct txn *t)
{
	struct mdoc *x = m->n ? &m->docs[draw(m, m->n)] : NULL;
	struct mval  body;
	struct doc  *d;

	if (m->n < DOCS_MAX && (m->n < 40 || draw(m, 3) == 0)) {
		insert_one(m, t);
	} else if (x->there && draw(m, 3) == 0) {
		CHECK_EQ(txn_delete(t, STR_EMPTY, x->id, &d, &m->f->err), ST_OK);
		x->there = false;
	} else if (x->there) {
		body = any_doc(m);
		CHECK_EQ(txn_replace(t, STR_EMPTY, x->id, packed(m, &body), &d, &m->f->err),
		    ST_OK);
		keep(m, x, &body, x->id, d->creation_time);
	}
}

/* --- queries --- */

struct bound {
	enum range_op      op;
	const char        *field;
	const struct mval *value;
};

struct oper {
	const struct mexpr *filter; /* NULL: a limit */
	size_t              limit;
};

struct mquery {
	size_t       index;
	bool         scan, desc; /* scan: FullTableScan */
	size_t       nbounds, nops;
	struct bound bounds[8];
	struct oper  ops[4];
};

static const struct mexpr *
int_literal(struct model *m)
{
	static const int64_t extremes[] = { INT64_MIN, INT64_MAX, -1, 0 };
	struct mexpr        *x = ARENA_NEW(m->f->arena, struct mexpr);
	struct mval         *v = ARENA_NEW(m->f->arena, struct mval);

	*v = any_int(m);
	if (draw(m, 2))
		v->i = extremes[draw(m, COUNT_OF(extremes))];
	*x = (struct mexpr){ .op = X_LITERAL, .literal = v };
	return x;
}

static const struct mexpr *
any_expr(struct model *m, int depth, bool boolean)
{
	struct arena        *a = m->f->arena;
	struct mexpr        *x = ARENA_NEW(a, struct mexpr);
	const struct mexpr **args = ARENA_ARRAY(a, const struct mexpr *, 3);
	struct mval         *v;

	if (depth == 0 || (!boolean && draw(m, 2))) {
		x->op = draw(m, 2) ? X_FIELD : X_LITERAL;
		x->field = str_z(paths[draw(m, COUNT_OF(paths))]);
		v = ARENA_NEW(a, struct mval);
		*v = draw(m, 10) ? any_value(m, 1) : m_undefined;
		x->literal = v;
		return x;
	}
	/* Wrong operands now and then, or nothing would ever survive or fail. */
	if (boolean == (draw(m, 16) != 0))
		x->op = draw(m, 3) ? (enum mop)draw(m, X_GTE + 1)
				   : (enum mop)(X_AND + draw(m, 3));
	else
		x->op = (enum mop)(X_ADD + draw(m, X_NEG - X_ADD + 1));
	x->n = x->op == X_NEG || x->op == X_NOT ? 1 : x->op == X_AND || x->op == X_OR ? draw(m, 4)
									      : 2;
	for (size_t i = 0; i < x->n; i++)
		args[i] = x->op >= X_ADD && x->op <= X_NEG && draw(m, 2)
		    ? int_literal(m)
		    : any_expr(m, depth - 1, x->op >= X_AND && x->op <= X_NOT);
	x->args = args;
	return x;
}

static void
any_bounds(struct model *m, struct mquery *q)
{
	const char *const *fields = indexes[q->index].fields;
	size_t             neq = draw(m, 4), k = 0;

	for (; k < neq && fields[k]; k++)
		q->bounds[q->nbounds++] =
		    (struct bound){ RANGE_EQ, fields[k], any_bound(m, fields[k]) };
	if (fields[k] && draw(m, 3))
		q->bounds[q->nbounds++] = (struct bound){ draw(m, 2) ? RANGE_GT : RANGE_GTE,
			fields[k], any_bound(m, fields[k]) };
	if (fields[k] && draw(m, 3))
		q->bounds[q->nbounds++] = (struct bound){ draw(m, 2) ? RANGE_LT : RANGE_LTE,
			fields[k], any_bound(m, fields[k]) };
	for (size_t i = q->nbounds; i > 1; i--) { /* in any order */
		size_t       other = draw(m, i);
		struct bound x = q->bounds[i - 1];

		q->bounds[i - 1] = q->bounds[other];
		q->bounds[other] = x;
	}
}

static struct mquery
any_query(struct model *m)
{
	struct mquery q = { .index = draw(m, COUNT_OF(indexes)), .desc = draw(m, 2) };

	q.scan = draw(m, 8) == 0;
	if (q.scan)
		q.index = 4; /* by_creation_time */
	else
		any_bounds(m, &q);
	q.nops = draw(m, 2) ? 0 : draw(m, 4);
	for (size_t i = 0; i < q.nops; i++) {
		q.ops[i].limit = draw(m, 20);
		q.ops[i].filter = draw(m, 2) ? any_expr(m, 3, true) : NULL;
	}
	return q;
}

static void
bounds_json(struct buf *b, const struct mquery *q)
{
	static const char *const names[] = { [RANGE_EQ] = "Eq", [RANGE_GT] = "Gt",
		[RANGE_GTE] = "Gte", [RANGE_LT] = "Lt", [RANGE_LTE] = "Lte" };

	for (size_t i = 0; i < q->nbounds; i++) {
		buf_fmt(b, "%s{\"type\":\"%s\",\"fieldPath\":\"%s\",\"value\":", i ? "," : "",
		    names[q->bounds[i].op], q->bounds[i].field);
		m_json(b, q->bounds[i].value);
		buf_add_byte(b, '}');
	}
}

static const char *
query_json(struct model *m, const struct mquery *q)
{
	struct buf  b;
	const char *order = q->desc ? "\"desc\"" : draw(m, 2) ? "\"asc\"" : "null";
	const char *text;

	buf_init(&b, BUF_MAX_DEFAULT);
	if (q->scan) {
		buf_fmt(&b,
		    "{\"source\":{\"type\":\"FullTableScan\",\"tableName\":\"t\",\"order\":%s}",
		    order);
	} else {
		buf_fmt(&b,
		    "{\"source\":{\"type\":\"IndexRange\",\"indexName\":\"t.%s\",\"order\":%s,"
		    "\"range\":[",
		    indexes[q->index].name, order);
		bounds_json(&b, q);
		buf_addz(&b, "]}");
	}
	buf_addz(&b, ",\"operators\":[");
	for (size_t i = 0; i < q->nops; i++) {
		if (i)
			buf_add_byte(&b, ',');
		if (q->ops[i].filter) {
			buf_addz(&b, "{\"filter\":");
			x_json(&b, q->ops[i].filter);
			buf_add_byte(&b, '}');
		} else {
			buf_fmt(&b, "{\"limit\":%zu}", q->ops[i].limit);
		}
	}
	buf_addz(&b, "]}");
	text = arena_z(m->f->arena, buf_str(&b));
	buf_clear(&b);
	return text;
}

/* --- the answer that is expected --- */

static bool
in_range(const struct mval *doc, const struct mquery *q)
{
	for (size_t i = 0; i < q->nbounds; i++) {
		int c = m_cmp(m_path(doc, str_z(q->bounds[i].field)), q->bounds[i].value);

		if (!(q->bounds[i].op == RANGE_EQ ? c == 0 : q->bounds[i].op == RANGE_GT ? c > 0
			: q->bounds[i].op == RANGE_GTE ? c >= 0
			: q->bounds[i].op == RANGE_LT ? c < 0 : c <= 0))
			return false;
	}
	return true;
}

static size_t sort_index; /* of by_fields(): qsort() has no argument for it */

static int
by_fields(const void *pa, const void *pb)
{
	const struct mdoc *a = *(struct mdoc *const *)pa, *b = *(struct mdoc *const *)pb;

	for (size_t i = 0; indexes[sort_index].fields[i]; i++) {
		str field = str_z(indexes[sort_index].fields[i]);
		int c = m_cmp(m_path(&a->value, field), m_path(&b->value, field));

		if (c)
			return c;
	}
	return 0;
}

/* A chain of iterators, as the specification has it: each operator pulls from the one before. */
struct chain {
	const struct mquery *q;
	struct mdoc         *rows[DOCS_MAX];
	size_t               n, at, taken[4];
	struct mfault        fault; /* head NULL: none */
};

static struct mdoc *
chain_pull(struct chain *c, size_t nops)
{
	const struct oper *op = nops ? &c->q->ops[nops - 1] : NULL;
	struct mdoc       *d;
	struct mval        v;
	bool               keep_it;

	if (!op)
		return c->at < c->n ? c->rows[c->at++] : NULL;
	if (!op->filter) {
		if (c->taken[nops - 1] == op->limit)
			return NULL;
		c->taken[nops - 1]++;
		return chain_pull(c, nops - 1);
	}
	while ((d = chain_pull(c, nops - 1)) != NULL) {
		if (!x_eval(op->filter, &d->value, &v, &c->fault) ||
		    !x_truth(&v, &keep_it, &c->fault))
			return NULL;
		if (keep_it)
			return d;
	}
	return NULL;
}

static void
chain_open(struct model *m, const struct mquery *q, struct chain *c)
{
	memset(c, 0, sizeof *c);
	c->q = q;
	for (size_t i = 0; i < m->n; i++)
		if (m->docs[i].there && in_range(&m->docs[i].value, q))
			c->rows[c->n++] = &m->docs[i];
	sort_index = q->index;
	qsort(c->rows, c->n, sizeof *c->rows, by_fields);
	for (size_t i = 0; q->desc && i < c->n / 2; i++) {
		struct mdoc *x = c->rows[i];

		c->rows[i] = c->rows[c->n - 1 - i];
		c->rows[c->n - 1 - i] = x;
	}
}

/* Row by row; then the same error, or the same end after the same number of rows read. */
static void
compare(struct model *m, struct txn *t)
{
	struct mquery q = any_query(m);
	const char   *json = query_json(m, &q);
	uint64_t      read = txn_usage(t)->docs_read;
	struct chain  c;
	struct query *open;
	struct mdoc  *want;
	struct doc   *d;
	status        st;

	chain_open(m, &q, &c);
	CHECK_EQ(query_open(t, fix_spec(m->f, json), &open, &m->f->err), ST_OK);
	do {
		char text[ID_TEXT_MAX];

		want = chain_pull(&c, q.nops);
		st = query_next(open, &d, &m->f->err);
		if (c.fault.head ? st == ST_OK : st != ST_OK || (want != NULL) != (d != NULL))
			print_error("query %s\n", json);
		if (c.fault.head) {
			CHECK_EQ(st, ST_BAD_REQUEST);
			CHECK_STRZ(m->f->err.code, "EvalError");
			CHECK(str_starts(m->f->err.text, str_z(c.fault.head)));
			CHECK(str_ends(m->f->err.text, str_z(c.fault.tail)));
			m->errors++;
			break;
		}
		CHECK_EQ(st, ST_OK);
		CHECK_EQ(want != NULL, d != NULL);
		if (d) {
			CHECK_STR(str_of(text, id_format(d->id, text)), want->id);
			m->rows++;
		}
	} while (want);
	CHECK_EQ(txn_usage(t)->docs_read - read, c.at);
	query_close(open);
}

/* 03 checklist 5, 25, 30, 37, 39 and 40: whatever was committed, and written since inside the
 * transaction, and wherever the rows are, in memory or only in the store, a query returns the
 * rows, in the order and with the errors, that the specification says. */
TEST(queries_agree_with_the_specification)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct kept_store k;
		struct fix        f;
		struct model      m;

		print_message("  seed %d\n", (int)seed);
		memset(&m, 0, sizeof m);
		kept_open(&k, &f);
		fix_push(&f, schema);
		m.f = &f;
		m.dice = seed * 0x9e3779b97f4a7c15u;
		for (int round = 0; round < 8; round++) {
			struct txn       *t = fix_begin(&f);
			struct txn_limits l = *txn_limits(t);

			l.docs_read = l.intervals = 1000000;
			(void)txn_set_limits(t, &l);
			for (int i = 0; i < 150; i++) {
				if (draw(&m, 4) == 0)
					write_one(&m, t);
				else
					compare(&m, t);
			}
			CHECK_EQ(fix_end(&f, t), ST_OK);
			switch (draw(&m, 4)) {
			case 0:
				break;
			case 1:
				fix_pump(&f);
				break;
			case 2:
				kept_evict(&f, draw(&m, 2) ? SIZE_MAX : draw(&m, 50000));
				break;
			default:
				kept_restart(&k, &f);
			}
		}
		CHECK(m.rows > 500);
		CHECK(m.errors > 20);
		kept_close(&k, &f);
	}
}

/* 03 checklist 4 and 5: of all pairs of values the order of an index is that of section 1.1. */
TEST(index_order_is_the_order_of_values)
{
	struct fix    f;
	struct model  m;
	struct txn   *t;
	struct mquery q = { .index = 0 };
	struct chain  c;
	struct query *open;
	struct doc   *d;
	char          text[ID_TEXT_MAX];

	memset(&m, 0, sizeof m);
	fix_open(&f);
	fix_push(&f, schema);
	m.f = &f;
	m.dice = 99;
	t = fix_begin(&f);
	while (m.n < DOCS_MAX)
		insert_one(&m, t);
	CHECK_EQ(fix_end(&f, t), ST_OK);
	t = fix_begin_query(&f);
	for (q.index = 0; q.index < COUNT_OF(indexes); q.index++) {
		chain_open(&m, &q, &c);
		CHECK_EQ(c.n, DOCS_MAX);
		CHECK_EQ(query_open(t, fix_spec(&f, query_json(&m, &q)), &open, &f.err), ST_OK);
		for (size_t i = 0; i < c.n; i++) {
			CHECK_EQ(query_next(open, &d, &f.err), ST_OK);
			CHECK_STR(str_of(text, id_format(d->id, text)), c.rows[i]->id);
		}
	}
	txn_free(t);
	fix_close(&f);
}

TEST_RUN(T(index_order_is_the_order_of_values), T(queries_agree_with_the_specification))
