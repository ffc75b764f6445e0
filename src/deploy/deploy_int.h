/* deploy_int.h - what the files of this folder share.
 *
 * request.c checks who asks; push.c keeps started pushes; body.c reads the push request;
 * node_push.c sees to modules for Node.js;
 * modules.c, authconfig.c and env.c own their system tables; reply.c writes JSON.
 */
#ifndef DEPLOY_DEPLOY_INT_H
#define DEPLOY_DEPLOY_INT_H

#include <pthread.h>

#include "database/ddl.h"
#include "deploy/deploy.h"
#include "node/executor.h"

#define PUSHES_MAX 8 /* started and not finished; the oldest is forgotten first */

struct push_module {
	struct module_source source;
	str                  sha256;    /* hex, spec 02 section 4.6 */
	bool unchanged; /* the stored row stays as it is unless its analysis differs */
	str  package;   /* modules for Node.js: sourcePackageId; else p == NULL */
};

/* A started push: what finish_push will store. */
struct push {
	_Atomic uint32_t    refs;
	struct arena       *arena; /* owned; everything below lives in it */
	str                 token;
	size_t              nmodules;
	struct push_module *modules;
	str                 server_version;
	uint8_t             seed[32];
	uint64_t            import_ns;
	str                 analysis;  /* JSON object: path -> AnalyzedModule */
	str                 providers; /* JSON array: appAuth */
	str definition; /* JSON: what the app definition exported; p == NULL: default app */
	const struct schema *schema;   /* NULL: none */
	bool                has_schema_id;
	struct docid        schema_id;
	str                 environment; /* JSON object of the user's variables at the start */
	size_t              ndeps;       /* nodeDependencies */
	struct node_dep    *deps;
	str                 node_version; /* p == NULL: not given */
	str                 package;     /* of the modules for Node.js; p == NULL: there are none */
	uint64_t            package_bytes;
};

struct deploy {
	struct arena    *arena;
	struct db       *db;
	struct auth     *auth;
	const struct os *os;
	str              cloud_url, site_url;
	struct node_executor *node; /* NULL: none */
	pthread_mutex_t  lock; /* guards pushes */
	struct push     *pushes[PUSHES_MAX];
	size_t           npushes;
};

/* --- request.c --- */

/* The identity of the body's adminKey if there is one, else the header's; must be allowed
 * `op`. */
NODISCARD status deploy_authorize(const struct deploy_request *q, const char *op, struct err *e);
/* A transaction at the newest snapshot that sees system tables. */
struct txn *deploy_txn(struct deploy *d, bool writable, const char *writer);
/* Runs fn in transactions until one commits, `tries` at most (spec 03 section 5.7). */
typedef status (*deploy_body)(struct txn *t, void *arg, struct err *e);
NODISCARD status deploy_transact(struct deploy *d, const char *writer, int tries, deploy_body fn,
    void *arg, ts_t *ret_ts, struct err *e);
/* JSON text of a stored value's copy in `a`. */
str  deploy_json_of(struct arena *a, struct val v);
/* The string member, or the empty str. */
str  deploy_str(struct val doc, const char *field);

/* --- push.c --- */

struct push *push_new(void);
struct push *push_ref(struct push *p);
void         push_unref(struct push *p);
void         push_remember(struct deploy *d, struct push *p); /* keeps a reference */
struct push *push_find(struct deploy *d, str token);          /* a reference or NULL */
void         push_forget(struct deploy *d, str token);

/* --- body.c --- */

/* Fills p->modules and the rest that the request itself says; *ret_schema, *ret_definition: modules
 * to evaluate (path empty: absent). */
NODISCARD status push_read_body(struct txn *t, const struct json *body, struct push *p,
    struct module_source *ret_schema, struct module_source *ret_definition, struct err *e);
/* Hex SHA-256 of source and source map. */
str module_sha256(struct arena *a, str source, str source_map);

/* --- modules.c --- */

/* Stored source by hash; NOT found: *ret_found false. */
NODISCARD status module_source_get(struct txn *t, str sha256, struct module_source *ret,
    bool *ret_found, struct err *e);
struct module_diff {
	VEC(str) added, removed; /* in the push's or the transaction's arena */
};
/* --- handles.c: one row for each function of the modules that are stored now --- */

NODISCARD status handles_put(struct txn *t, uint64_t now_ns, struct err *e);

NODISCARD status modules_replace(struct txn *t, const struct push *p, const struct json *analysis,
    struct module_diff *ret, struct err *e);
/* One module beside or in the place of what is there; analyzed NULL: none. */
NODISCARD status module_put(struct txn *t, const struct push_module *m, const struct json *analyzed,
    struct err *e);
/* The UDF config row; *ret_version n == 0: never pushed. */
NODISCARD status udf_config_get(struct txn *t, str *ret_version, uint8_t ret_seed[32],
    uint64_t *ret_ns, struct err *e);
NODISCARD status udf_config_put(struct txn *t, const struct push *p, str *ret_previous,
    struct err *e);

/* --- authconfig.c --- */

/* Evaluated auth.config.js (JSON text) to the appAuth array: InvalidAuthConfig. */
NODISCARD status auth_config_check(struct arena *a, str evaluated, str *ret_providers,
    struct err *e);
/* Replaces the rows of _auth; diff lists are JSON arrays of JSON texts. */
NODISCARD status auth_config_store(struct txn *t, str providers, str *ret_added, str *ret_removed,
    struct err *e);

/* --- env.c --- */

/* User variables as a JSON object sorted by name, recorded in the read set. */
NODISCARD status env_user_json(struct txn *t, struct arena *a, str *ret, struct err *e);
/* For evaluation: user variables over system ones. */
NODISCARD status env_import(struct deploy *d, struct txn *t, struct arena *a,
    const struct env_var **ret, size_t *ret_n, struct err *e);
/* Required variables of the app definition (a JSON export or p == NULL) that are not set:
 * MissingEnvironmentVariables; values that do not fit: InvalidEnvironmentVariable. */
NODISCARD status env_check_declared(struct txn *t, str definition, struct err *e);

/* --- node_push.c --- */

/* nodeDependencies of the request. */
NODISCARD status node_read_deps(struct push *p, const struct json *body, struct err *e);
/* Makes the package of the modules for Node.js and adds what they register to p->analysis.
 * Nothing to do if there are none. */
NODISCARD status node_analyze_push(struct deploy *d, struct push *p, const struct import_env *env,
    struct err *e);
/* The rows that name the package and its dependencies. */
NODISCARD status node_store_package(struct txn *t, const struct push *p, struct err *e);
/* "nodeVersion" of get_config_hashes; nothing if none was pushed (spec 02 section 4.6). */
NODISCARD status node_reply_version(struct txn *t, struct buf *b, struct err *e);
/* externalDepsId of the reply: JSON. */
void node_reply_deps(struct buf *b, const struct push *p);

/* --- reply.c --- */

void reply_index_diff(struct buf *b, const struct index_diff *d);
void reply_start_push(struct buf *b, const struct push *p, const struct index_diff *d);

#endif
