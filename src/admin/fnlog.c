/* fnlog.c - the function log, a ring of finished runs and of what running actions print.
 *
 * An entry is serialized when it is added, in all forms that readers want, so that a poll is
 * a walk and a copy.  Cursors are milliseconds with a fraction, strictly increasing (spec 05
 * section 9.1).
 *
 * Thread: the loop thread.  Memory: at most ENTRIES_MAX entries, of BYTES_MAX or a single one.
 */
#include "admin/fnlog.h"

#include <math.h>

#define ENTRIES_MAX 1000
#define BYTES_MAX   ((size_t)32 << 20)

struct entry {
	double       cursor;
	struct blob *forms[FNLOG_FORMS]; /* NULL: this one does not have it */
	struct blob *request_id;
};

struct fnlog {
	const struct os *os;
	struct entry     ring[ENTRIES_MAX];
	size_t           first, n, bytes;
	double           newest;
	void           (*on_add)(void *arg);
	void            *on_add_arg;
};

struct fnlog *
fnlog_new(const struct os *os)
{
	struct fnlog *l = MEM_NEW(struct fnlog);

	l->os = os;
	return l;
}

static size_t
entry_bytes(const struct entry *en)
{
	size_t n = 0;

	for (size_t i = 0; i < FNLOG_FORMS; i++)
		if (en->forms[i] && (i == 0 || en->forms[i] != en->forms[i - 1]))
			n += blob_str(en->forms[i]).n;
	return n;
}

static void
entry_clear(struct entry *en)
{
	for (size_t i = 0; i < FNLOG_FORMS; i++)
		if (en->forms[i])
			blob_unref(en->forms[i]);
	blob_unref(en->request_id);
}

void
fnlog_free(struct fnlog *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < l->n; i++)
		entry_clear(&l->ring[(l->first + i) % ENTRIES_MAX]);
	mem_free(l);
}

void
fnlog_on_add(struct fnlog *l, void (*fn)(void *arg), void *arg)
{
	l->on_add = fn;
	l->on_add_arg = arg;
}

static void
write_lines(struct buf *b, const struct loglines *l, enum fnlog_form form)
{
	struct buf text;

	buf_init(&text, BUF_MAX_DEFAULT);
	json_key(b, "logLines");
	buf_add(b, S("["));
	for (size_t i = 0; l && i < l->lines.n; i++) {
		json_comma(b);
		if (form == FNLOG_OBJECTS) {
			logline_json(b, &l->lines.v[i]);
			continue;
		}
		buf_reset(&text);
		logline_pretty(&text, &l->lines.v[i]);
		json_write_str(b, buf_str(&text));
	}
	buf_add(b, S("]"));
	buf_clear(&text);
}

static const char *
caller_name(enum fn_caller c)
{
	static const char *names[] = { "SyncWorker", "HttpApi", "Tester", "Action", "Scheduler",
		"Cron" };

	return names[c];
}

static const char *
identity_type(const struct identity *i)
{
	switch (i->kind) {
	case IDENTITY_NONE: return "unknown";
	case IDENTITY_USER: return "user";
	case IDENTITY_ADMIN: return "instance_admin";
	case IDENTITY_ADMIN_AS_USER: return "member_acting_user";
	case IDENTITY_SYSTEM: return "system";
	}
	return "unknown";
}

static void
write_conflict(struct buf *b, const struct fn_result *r)
{
	const struct conflict *c = r->conflict;

	json_key(b, "occInfo");
	if (!c) {
		buf_add(b, S("null"));
		return;
	}
	buf_add(b, S("{\"tableName\":"));
	json_write_str(b, str_z(c->table));
	json_key(b, "documentId");
	json_write_str(b, str_z(c->doc));
	json_key(b, "writeSource");
	json_write_str(b, str_z(c->writer));
	buf_fmt(b, ",\"componentPath\":null,\"retryCount\":%d}", r->retries);
}

static void
write_times(struct buf *b, const struct fn_result *r, double now_s)
{
	json_key(b, "timestamp");
	json_write_double(b, now_s);
	json_key(b, "executionTimestamp");
	json_write_double(b, now_s - (double)r->run_ns / 1e9);
	json_key(b, "executionTime");
	json_write_double(b, (double)r->run_ns / 1e9);
	json_key(b, "userExecutionTime");
	json_write_double(b, (double)r->user_ns / 1e9);
}

/* Numbers that this server does not meter are zero (spec 05 section 9.1 allows it). */
static const char usage_stats[] =
    ",\"usageStats\":{\"databaseReadBytes\":0,\"databaseWriteBytes\":0,\"databaseIoReadBytes\":0,"
    "\"databaseIoWriteBytes\":0,\"databaseReadDocuments\":0,\"databaseWriteDocuments\":0,"
    "\"storageReadBytes\":0,\"storageWriteBytes\":0,\"vectorIndexReadBytes\":0,"
    "\"vectorIndexWriteBytes\":0,\"textIndexQueryBytes\":0,\"textIndexWriteQueryBytes\":0,"
    "\"vectorIndexReadQueryBytes\":0,\"vectorIndexWriteQueryBytes\":0,\"networkEgressBytes\":0,"
    "\"memoryUsedMb\":64}";

/* Who it is about; the first members of every entry. */
static void
write_subject(
    struct buf *b, const char *kind, const struct fn_call *c, enum udf_kind udf, str route)
{
	struct arena *a = arena_new(); /* the call's may be in use elsewhere */
	size_t        method = 0;

	buf_fmt(b, "{\"kind\":\"%s\"", kind);
	json_key(b, "udfType");
	json_write_str(b, str_z(udf_kind_name(udf)));
	json_key(b, "identifier");
	if (c->http && route.p && str_find_char(c->path, ' ', &method))
		json_write_str(b, arena_fmt(a, "%.*s %.*s", (int)method, c->path.p,
		                      STR_ARG(route)));
	else
		json_write_str(b, c->http ? c->path : fn_path_display(a, c->path));
	json_key(b, "componentPath");
	if (c->component.n)
		json_write_str(b, c->component);
	else
		buf_add(b, S("null"));
	json_key(b, "requestId");
	json_write_str(b, c->request_id);
	json_key(b, "executionId");
	json_write_str(b, c->request_id);
	arena_free(a);
}

struct finished {
	const struct fn_call   *c;
	const struct fn_result *r;
	bool                    cached;
};

static void
write_completion(struct buf *b, const void *finished, double now_s, enum fnlog_form form)
{
	const struct finished  *x = finished;
	const struct fn_call   *c = x->c;
	const struct fn_result *r = x->r;
	bool                    failed = r->st != ST_OK || !r->ok;

	write_subject(b, "Completion", c, r->kind, r->route);
	write_lines(b, r->told && form != FNLOG_RUNS ? NULL : &r->logs, form);
	write_times(b, r, now_s);
	buf_fmt(b, ",\"cachedResult\":%s,\"parentExecutionId\":null,\"success\":",
	    x->cached ? "true" : "false");
	if (c->http && r->http)
		buf_fmt(b, "{\"status\":\"%d\"}", r->http);
	else
		buf_add(b, S("null"));
	json_key(b, "caller");
	json_write_str(b, str_z(caller_name(c->caller)));
	json_key(b, "error");
	if (failed)
		json_write_str(b, r->st != ST_OK ? r->text : r->error);
	else
		buf_add(b, S("null"));
	buf_add(b, str_of(usage_stats, sizeof usage_stats - 1));
	json_key(b, "returnBytes");
	if (failed)
		buf_add(b, S("null"));
	else
		json_write_u64(b, r->value_json.n);
	write_conflict(b, r);
	buf_add(b, S(",\"willRetry\":false,\"environment\":\"isolate\""));
	json_key(b, "identityType");
	json_write_str(b, str_z(identity_type(c->identity)));
	buf_add(b, S("}"));
}

static void
write_progress(struct buf *b, const void *progress, double now_s, enum fnlog_form form)
{
	const struct fn_progress *p = progress;

	write_subject(b, "Progress", p->call, p->kind, (str){ NULL, 0 });
	json_key(b, "timestamp");
	json_write_double(b, now_s);
	write_lines(b, p->lines, form);
	buf_add(b, S("}"));
}

static void
drop_oldest(struct fnlog *l)
{
	struct entry *en = &l->ring[l->first];

	l->bytes -= entry_bytes(en);
	entry_clear(en);
	l->first = (l->first + 1) % ENTRIES_MAX;
	l->n--;
}

/* Room for one more, with its cursor; the oldest may go. */
static struct entry *
next_entry(struct fnlog *l, str request_id, double now_ms)
{
	struct entry *en;

	if (l->n == ENTRIES_MAX)
		drop_oldest(l);
	l->newest = now_ms > l->newest ? now_ms : nextafter(l->newest, INFINITY);
	en = &l->ring[(l->first + l->n++) % ENTRIES_MAX];
	*en = (struct entry){ .cursor = l->newest, .request_id = blob_new(request_id) };
	return en;
}

/* An entry in the forms before `end`; one more is the same as the last of them, if `again`. */
static void
add(struct fnlog *l, str request_id, enum fnlog_form end, bool again,
    void (*write)(struct buf *b, const void *what, double now_s, enum fnlog_form form),
    const void *what)
{
	double        now_ms = (double)os_now_ns(l->os) / 1e6;
	struct entry *en = next_entry(l, request_id, now_ms);
	struct buf    b;

	buf_init(&b, BUF_MAX_DEFAULT);
	for (enum fnlog_form form = 0; form < end; form++) {
		buf_reset(&b);
		write(&b, what, now_ms / 1e3, form);
		en->forms[form] = blob_new(buf_str(&b));
	}
	buf_clear(&b);
	if (again)
		en->forms[end] = blob_ref(en->forms[end - 1]);
	for (l->bytes += entry_bytes(en); l->bytes > BYTES_MAX && l->n > 1;)
		drop_oldest(l);
	if (l->on_add)
		l->on_add(l->on_add_arg);
}

static bool
is_system(const struct fn_call *c)
{
	return str_starts(c->path, S("_system/"));
}

void
fnlog_add(struct fnlog *l, const struct fn_call *c, const struct fn_result *r, bool cached)
{
	struct finished x = { c, r, cached };

	if (!is_system(c) && r->kind_known)
		add(l, c->request_id, r->told ? FNLOG_FORMS : FNLOG_RUNS, !r->told,
		    write_completion, &x);
}

void
fnlog_add_progress(struct fnlog *l, const struct fn_progress *p)
{
	if (!is_system(p->call))
		add(l, p->call->request_id, FNLOG_RUNS, false, write_progress, p);
}

static void
write_cursor(struct buf *out, double cursor)
{
	json_key(out, "newCursor");
	json_write_double(out, cursor);
	buf_add(out, S("}"));
}

void
fnlog_empty(double cursor, struct buf *out)
{
	buf_add(out, S("{\"entries\":[]"));
	write_cursor(out, cursor);
}

/* The entries of one client request only, when the dashboard asks for that. */
static bool
wanted(const struct entry *en, str request_id)
{
	return !request_id.p || str_eq(blob_str(en->request_id), request_id);
}

bool
fnlog_read(struct fnlog *l, double cursor, enum fnlog_form form, str session, str counter,
    struct buf *out)
{
	struct arena *a;
	str           request_id = { NULL, 0 };
	uint64_t      number = 0;

	if (l->n == 0 || l->newest <= cursor)
		return false;
	a = arena_new();
	if (session.p && str_to_u64(counter, &number) && number <= UINT32_MAX)
		request_id = fn_session_request_id(a, session, (uint32_t)number);
	buf_add(out, S("{\"entries\":["));
	for (size_t i = 0; i < l->n; i++) {
		const struct entry *en = &l->ring[(l->first + i) % ENTRIES_MAX];

		if (en->cursor <= cursor || !en->forms[form] || !wanted(en, request_id))
			continue;
		json_comma(out);
		buf_add(out, blob_str(en->forms[form]));
	}
	buf_add(out, S("]"));
	write_cursor(out, l->newest);
	arena_free(a);
	return true;
}
