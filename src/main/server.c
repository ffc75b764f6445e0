/* server.c - a whole server: see server.h.
 *
 * Order of the start: folders, database (which takes the lock), threads, and the ports last, so
 * that whoever can connect is answered.  The end is the reverse.
 *
 * Thread: the main thread, which becomes the loop thread; one thread waits for signals.
 * Memory: struct server, for the life of the process.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "admin/sysfn.h"
#include "auth/sign_jwt.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "database/retention.h"
#include "fetch/fetch.h"
#include "files/files.h"
#include "functions/scheduler.h"
#include "functions/storage.h"
#include "main/budget.h"
#include "main/server.h"
#include "main/version.h"
#include "node/executor.h"
#include "node/tier.h"
#include "os/memory.h"
#include "os/file.h"
#include "runtime/thread.h"

#define WORKERS_MAX    32                  /* spec 04 section 5.4: 16 queries, 16 mutations */
#define WORKER_MEMORY  ((size_t)192 << 20) /* both budgets of a heap, and what it is a copy of */
#define ACTION_DEFAULT_NS (600ull * 1000000000ull)
#define SAME_SIGNAL_NS 500000000ull /* signals closer than this are one */

struct server {
	const struct flags *flags;
	const struct os    *os;
	struct arena       *arena; /* owned: names */
	uint8_t             secret[32];
	str                 instance_name, cloud_url, site_url, cache_dir;
	struct budget       budget;

	struct core        *core;
	struct store        store;
	struct db          *db;
	struct retention   *retention;
	struct auth        *auth;
	struct functions   *functions;
	struct runner      *runner;
	struct fetch       *fetch;
	struct actions     *actions;
	uint64_t            action_ns; /* that an action may take */
	struct fnlog       *fnlog;
	struct files       *files;
	struct storage     *storage;
	struct node_executor *node;
	struct tier          *tier;
	struct deploy      *deploy;
	struct scheduler   *scheduler;
	struct api         *api;
	struct http_server *http;
	struct sysfn_env    sysfn;

	struct thread *signals;
	atomic_bool    over; /* the signal thread may go */
};

/* --- signals --- */

static void
signal_set(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGINT);
}

static void
signals_main(void *arg)
{
	struct server *s = arg;
	sigset_t       set;
	uint64_t       first_ns = 0;
	int            number;

	signal_set(&set);
	while (sigwait(&set, &number) == 0) {
		if (atomic_load(&s->over))
			return;
		if (first_ns && os_mono_ns(s->os) - first_ns > SAME_SIGNAL_NS)
			_exit(128 + number); /* what was acknowledged is on disk */
		if (first_ns)
			continue; /* timeout(1) and shells signal the process and its group */
		first_ns = os_mono_ns(s->os);
		log_info("stopping (signal %d); once more to stop at once", number);
		core_stop(s->core);
	}
}

/* Before the first thread, so that all of them inherit the mask. */
static void
block_signals(void)
{
	sigset_t set;

	signal_set(&set);
	must(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	must(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
}

static void
stop_signals(struct server *s)
{
	atomic_store(&s->over, true);
	kill(getpid(), SIGTERM);
	thread_join_free(s->signals);
}

/* --- start --- */

static void
raise_file_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur >= r.rlim_max)
		return;
	r.rlim_cur = r.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &r) != 0)
		log_warn("cannot raise the limit of open files");
}

/* Its text goes to the operator; the system's own words are in the log line before it. */
static status
make_folder(const char *path, struct err *e)
{
	status st = file_mkdirs(path, e);

	if (st == ST_OK)
		return ST_OK;
	return err_set(e, st, "CannotMakeFolder",
	    "cannot make the folder %s: see the line above for the reason", path);
}

static status
make_folders(struct server *s, struct err *e)
{
	str    path = str_z(s->flags->db_path);
	size_t slash;

	if (str_rfind_char(path, '/', &slash) && slash > 0)
		TRY(make_folder(arena_z(s->arena, str_head(path, slash)), e));
	s->cache_dir = arena_fmt(s->arena, "%s/bytecode", s->flags->local_storage);
	TRY(make_folder(s->cache_dir.p, e));
	return files_open(arena_fmt(s->arena, "%s/files", s->flags->local_storage).p, s->os,
	    &s->files, e);
}

static struct fn_worker *
worker_new(void *arg)
{
	struct server *s = arg;

	return fn_worker_new(s->functions, isolate_new(&(struct isolate_opts){
	                                       .cache_dir = s->cache_dir,
	                                       .cloud_url = s->cloud_url,
	                                       .site_url = s->site_url,
	                                       .full_engine = tier_available(s->tier),
	                                       .os = s->os,
	                                   }));
}

static void
worker_idle(struct fn_worker *w)
{
	isolate_prepare(fn_worker_isolate(w));
}

/* The option, or the variable that the reference server reads. */
static status
window(int option, const char *variable, uint64_t *ret_ns, struct err *e)
{
	const char *text = getenv(variable);
	uint64_t    seconds = (uint64_t)option;

	if (!option && text && (!str_to_u64(str_z(text), &seconds) || seconds > UINT32_MAX))
		return err_set(e, ST_BAD_REQUEST, "Usage", "%s must be seconds, not '%s'", variable,
		    text);
	*ret_ns = seconds * RETENTION_SECOND;
	return ST_OK;
}

static status
open_retention(struct server *s, struct err *e)
{
	struct retention_opts o = { .index_ns = 0 };

	TRY(window(s->flags->index_retention, "INDEX_RETENTION_DELAY", &o.index_ns, e));
	TRY(window(s->flags->document_retention, "DOCUMENT_RETENTION_DELAY", &o.document_ns, e));
	TRY(window(0, "ACTION_TIMEOUT_SECONDS", &s->action_ns, e));
	if (s->action_ns == 0)
		s->action_ns = ACTION_DEFAULT_NS;
	return retention_open(s->db, &o, &s->retention, e);
}

static status
open_database(struct server *s, struct err *e)
{
	struct db_opts opts = { .os = s->os, .instance_name = s->instance_name,
		.wlog_max_bytes = s->budget.wlog, .cache_bytes = s->budget.tree,
		.on_commit = core_on_commit, .on_commit_arg = s->core };
	status st;

	store_limit_memory(s->budget.store);
	TRY(store_open_sqlite(s->flags->db_path, &s->store, e));
	auth_subkey(s->secret, S("cursor"), opts.cursor_key);
	auth_subkey(s->secret, S("query journal"), opts.journal_key);
	opts.store = s->store;
	st = db_open(&opts, &s->db, e);
	return st == ST_OK ? open_retention(s, e) : st;
}

static void
on_finished(void *arg, const struct fn_call *c, const struct fn_result *r, bool cached)
{
	fnlog_add(arg, c, r, cached);
	if (r->conflict)
		log_warn("%.*s gave up after %d conflicts: %s changed document %s in %s.%s",
		    STR_ARG(c->path), r->retries + 1,
		    r->conflict->writer[0] ? r->conflict->writer : "an unknown function",
		    r->conflict->doc, r->conflict->table, r->conflict->index);
}

static void
on_progress(void *arg, const struct fn_progress *p)
{
	fnlog_add_progress(arg, p);
}

static struct storage *
make_storage(const struct server *s)
{
	struct storage_opts opts = { .files = s->files, .origin = s->cloud_url,
		.instance_name = s->instance_name, .os = s->os };

	auth_subkey(s->secret, S("store file authorization"), opts.token_key);
	return storage_new(&opts);
}

static void
sign_jwt(const void *signer, str payload, struct buf *out)
{
	jwt_sign(signer, payload, out);
}

static struct isolate *
isolate_open(struct server *s, size_t burst)
{
	return isolate_new(&(struct isolate_opts){ .burst_max = burst,
	    .burst_bytes = memory_available() / 16, .cache_dir = s->cache_dir,
	    .cloud_url = s->cloud_url, .site_url = s->site_url, .os = s->os });
}

/* Once the runner is there, which actions call. */
static void
make_actions(struct server *s)
{
	functions_set_services(s->functions, &(struct action_services){
	    .gate = core_gate(s->core),
	    .runner = s->runner,
	    .fetch = s->fetch,
	    .timeout_ns = s->action_ns,
	    .on_progress = on_progress,
	    .on_progress_arg = s->fnlog,
	});
	s->actions = actions_new(&(struct actions_opts){
	    .functions = s->functions,
	    .isolate = isolate_open(s, ACTIONS_MAX_DEFAULT),
	    .done = core_action_done,
	    .refused = core_action_refused,
	    .done_arg = s->core,
	});
	core_set_actions(s->core, s->actions);
}

static void
make_auth(struct server *s)
{
	struct auth_opts opts = { .instance_name = s->instance_name, .db = s->db, .os = s->os,
		.fetch = s->fetch, .gate = core_gate(s->core) };

	memcpy(opts.secret, s->secret, sizeof opts.secret);
	s->auth = auth_new(&opts);
}

static void
make_modules(struct server *s)
{
	struct functions_opts functions = { .db = s->db,
		.cloud_url = s->cloud_url,
		.site_url = s->site_url,
		.instance_name = s->instance_name,
		.redact = s->flags->redact,
		.last_try_alone = true };

	s->sysfn = (struct sysfn_env){ s->cloud_url, s->site_url };
	functions.natives = sysfn_table(&s->sysfn, &functions.nnatives);
	s->storage = make_storage(s);
	functions.storage = s->storage;
	s->node = node_executor_new(&(struct node_executor_opts){
	    .folder = arena_fmt(s->arena, "%s/node", s->flags->local_storage).p, .os = s->os });
	functions.node = s->node;
	s->tier = tier_new(&(struct tier_opts){ .os = s->os });
	functions.tier = s->tier;
	s->fetch = fetch_new(&(struct fetch_opts){ .proxy = s->flags->http_proxy });
	make_auth(s);
	functions.sign_jwt = sign_jwt;
	functions.sign_jwt_arg = auth_signer(s->auth);
	s->functions = functions_new(&functions);
	s->fnlog = fnlog_new(s->os);
	s->runner = runner_new(&(struct runner_opts){
	    .functions = s->functions,
	    .executor = core_executor(s->core),
	    .cache_max_bytes = s->budget.results,
	    .os = s->os,
	    .on_finished = on_finished,
	    .on_finished_arg = s->fnlog,
	    .on_deferred = core_on_deferred,
	    .on_deferred_arg = s->core,
	});
	make_actions(s);
	s->scheduler =
	    scheduler_new(&(struct scheduler_opts){ .runner = s->runner, .os = s->os });
	s->deploy = deploy_new(&(struct deploy_opts){ .db = s->db, .auth = s->auth, .os = s->os,
	    .cloud_url = s->cloud_url, .site_url = s->site_url, .node = s->node });
	s->api = api_new(&(struct api_opts){
	    .db = s->db,
	    .auth = s->auth,
	    .runner = s->runner,
	    .fnlog = s->fnlog,
	    .deploy = s->deploy,
	    .os = s->os,
	    .core = core_port(s->core),
	    .gate = core_gate(s->core),
	    .storage = s->storage,
	    .instance_name = s->instance_name,
	    .version = S(FRESNEL_VERSION),
	    .origin = s->cloud_url, .site_origin = s->site_url,
	    .redact = s->flags->redact,
	    .metrics = !getenv("DISABLE_METRICS_ENDPOINT"),
	});
}

static status
open_ports(struct server *s, struct err *e)
{
	struct http_server_opts opts = { .interface = s->flags->interface,
		.port = s->flags->port,
		.site_port = s->flags->site_port,
		.app = api_app(s->api),
		.core = core_port(s->core),
		.turn = core_turn,
		.turn_arg = s->core,
		.os = s->os };
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur > 256 && r.rlim_cur < 10256)
		opts.connections_max = (size_t)r.rlim_cur - 256;
	return http_server_new(&opts, &s->http, e);
}

static void
banner(const struct server *s)
{
	struct buf key;

	buf_init(&key, 4096);
	auth_make_admin_key(&key, s->instance_name, s->secret, s->os, false);
	printf("\n"
	       "  Fresnel %s\n"
	       "\n"
	       "  API           %.*s\n"
	       "  HTTP actions  %.*s\n"
	       "  Data          %s\n"
	       "  Admin key     %.*s\n"
	       "\n"
	       "  For a Convex project, in .env.local:\n"
	       "\n"
	       "CONVEX_SELF_HOSTED_URL='%.*s'\n"
	       "CONVEX_SELF_HOSTED_ADMIN_KEY='%.*s'\n"
	       "\n",
	    FRESNEL_VERSION, STR_ARG(s->cloud_url), STR_ARG(s->site_url), s->flags->db_path,
	    STR_ARG(buf_str(&key)), STR_ARG(s->cloud_url), STR_ARG(buf_str(&key)));
	fflush(stdout);
	buf_clear(&key);
}

static void
set_names(struct server *s)
{
	const struct flags *f = s->flags;

	s->instance_name = str_z(f->instance_name);
	s->cloud_url = f->origin ? str_z(f->origin) :
	                           arena_fmt(s->arena, "http://127.0.0.1:%d", f->port);
	s->site_url = f->site_origin ? str_z(f->site_origin) :
	                               arena_fmt(s->arena, "http://127.0.0.1:%d", f->site_port);
}

static int
worker_count(const struct flags *f)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	if (f->workers > 0)
		return f->workers;
	return n < 2 ? 2 : n > 64 ? 64 : (int)n;
}

/* Each of them may come to need as much memory as a function may use. */
static int
worker_count_max(const struct flags *f)
{
	int    normal = worker_count(f);
	size_t fit = memory_available() / WORKER_MEMORY;

	if (f->workers_max > 0)
		return f->workers_max < normal ? normal : f->workers_max;
	if (fit > WORKERS_MAX)
		fit = WORKERS_MAX;
	return fit < 2 * (size_t)normal ? 2 * normal : (int)fit;
}

/* --- life --- */

static void
close_all(struct server *s)
{
	api_free(s->api);
	deploy_free(s->deploy);
	scheduler_free(s->scheduler);
	if (s->runner)
		runner_free(s->runner);
	actions_free(s->actions);
	files_stop(s->files); /* its transfers end in the core */
	core_free(s->core); /* joins the workers */
	fetch_free(s->fetch);
	fnlog_free(s->fnlog);
	if (s->functions)
		functions_free(s->functions);
	node_executor_free(s->node);
	tier_free(s->tier);
	storage_free(s->storage);
	files_close(s->files);
	auth_free(s->auth);
	retention_close(s->retention);
	if (s->db)
		db_close(s->db);
	arena_free(s->arena);
}

static status
serve(struct server *s, struct err *e)
{
	uint64_t hash_key[2];

	TRY(auth_parse_secret(str_z(s->flags->instance_secret), s->secret, e));
	TRY(make_folders(s, e));
	os_random(s->os, hash_key, sizeof hash_key);
	hash_seed(hash_key[0], hash_key[1]);
	s->core = core_new(&(struct core_opts){ .os = s->os, .workers = worker_count(s->flags),
	    .workers_max = worker_count_max(s->flags),
	    .worker_new = worker_new, .worker_idle = worker_idle, .worker_arg = s });
	TRY(open_database(s, e));
	make_modules(s);
	TRY(open_ports(s, e));

	s->signals = thread_start("signals", 64 * 1024, signals_main, s);
	core_start_store(s->core, s->db, s->retention);
	core_start_workers(s->core);
	if (s->flags->banner)
		banner(s);
	log_info("Fresnel %s serves %.*s on %s:%d (HTTP actions: %d), database %s", FRESNEL_VERSION,
	    STR_ARG(s->instance_name), s->flags->interface, http_server_port(s->http, false),
	    http_server_port(s->http, true), s->flags->db_path);
	core_run(s->core, s->runner, s->api, s->scheduler, s->http);
	http_server_free(s->http);
	stop_signals(s);
	log_info("stopped");
	return ST_OK;
}

status
server_run(const struct flags *f, struct err *e)
{
	struct server s = { .flags = f, .os = os_real(), .arena = arena_new() };
	status        st;

	block_signals();
	raise_file_limit();
	set_names(&s);
	s.budget = budget_split(f->cache_bytes ? f->cache_bytes : budget_default());
	st = serve(&s, e);
	close_all(&s);
	return st;
}
