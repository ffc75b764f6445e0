/* fnlog.c - the function log, a ring of finished runs.
 *
 * An entry is serialized when it is added, in both forms that readers want, so that a poll is
 * a walk and a copy.  Cursors are milliseconds with a fraction, strictly increasing (spec 05
 * section 9.1).
 *
 * Thread: the loop thread.  Memory: at most ENTRIES_MAX entries.
 */
#include "admin/fnlog.h"

#include <math.h>

#define ENTRIES_MAX 1000

struct entry {
	double       cursor;
	struct blob *structured; /* log lines as objects */
	struct blob *plain;      /* as strings */
	struct blob *request_id;
};

struct fnlog {
	const struct os *os;
	struct entry     ring[ENTRIES_MAX];
	size_t           first, n;
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

static void
entry_clear(struct entry *en)
{
	blob_unref(en->structured);
	blob_unref(en->plain);
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
write_lines(struct buf *b, const struct fn_result *r, bool structured)
{
	json_key(b, "logLines");
	buf_add(b, S("["));
	for (size_t i = 0; i < r->logs.lines.n; i++) {
		json_comma(b);
		if (structured)
			logline_json(b, &r->logs.lines.v[i]);
		else if (i < r->nlines)
			json_write_str(b, r->lines[i]);
	}
	buf_add(b, S("]"));
}

static const char *
caller_name(enum fn_caller c)
{
	static const char *names[] = { "SyncWorker", "HttpApi", "Tester", "Action", "Scheduler" };

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

static void
write_entry(struct buf *b, const struct fn_call *c, const struct fn_result *r, bool cached,
    double now_s, bool structured)
{
	bool failed = r->st != ST_OK || !r->ok;

	buf_add(b, S("{\"kind\":\"Completion\""));
	json_key(b, "udfType");
	json_write_str(b, str_z(udf_kind_name(r->kind)));
	json_key(b, "identifier");
	json_write_str(b, c->http ? c->path : fn_path_display(c->arena, c->path));
	json_key(b, "componentPath");
	if (c->component.n)
		json_write_str(b, c->component);
	else
		buf_add(b, S("null"));
	write_lines(b, r, structured);
	write_times(b, r, now_s);
	json_key(b, "requestId");
	json_write_str(b, c->request_id);
	json_key(b, "executionId");
	json_write_str(b, c->request_id);
	buf_fmt(b, ",\"cachedResult\":%s,\"parentExecutionId\":null,\"success\":",
	    cached ? "true" : "false");
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

static struct blob *
serialized(const struct fn_call *c, const struct fn_result *r, bool cached, double now_s,
    bool structured)
{
	struct buf   b;
	struct blob *blob;

	buf_init(&b, BUF_MAX_DEFAULT);
	write_entry(&b, c, r, cached, now_s, structured);
	blob = blob_new(buf_str(&b));
	buf_clear(&b);
	return blob;
}

void
fnlog_add(struct fnlog *l, const struct fn_call *c, const struct fn_result *r, bool cached)
{
	double        now_ms = (double)os_now_ns(l->os) / 1e6;
	struct entry *en;

	if (str_starts(c->path, S("_system/")) || !r->kind_known)
		return;
	if (l->n == ENTRIES_MAX) {
		entry_clear(&l->ring[l->first]);
		l->first = (l->first + 1) % ENTRIES_MAX;
		l->n--;
	}
	l->newest = now_ms > l->newest ? now_ms : nextafter(l->newest, INFINITY);
	en = &l->ring[(l->first + l->n++) % ENTRIES_MAX];
	en->cursor = l->newest;
	en->structured = serialized(c, r, cached, now_ms / 1e3, true);
	en->plain = serialized(c, r, cached, now_ms / 1e3, false);
	en->request_id = blob_new(c->request_id);
	if (l->on_add)
		l->on_add(l->on_add_arg);
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
fnlog_read(struct fnlog *l, double cursor, bool structured, str session, str counter,
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

		if (en->cursor <= cursor || !wanted(en, request_id))
			continue;
		json_comma(out);
		buf_add(out, blob_str(structured ? en->structured : en->plain));
	}
	buf_add(out, S("]"));
	write_cursor(out, l->newest);
	arena_free(a);
	return true;
}
