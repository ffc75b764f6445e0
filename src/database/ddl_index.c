/* ddl_index.c - the indexes of a push: what start_push prepares, what finish_push flips.
 *
 * The table of spec 02 section 7.3.  Per table and name there is at most one enabled and one
 * pending index; a wanted one is compared with both.
 *
 * Thread: the transaction's.  Memory: its arena.
 */
#include "database/ddl_int.h"

struct planner {
	struct txn        *t;
	struct index_diff *diff;
	bool               dry;    /* compute the diff only */
	bool               finish; /* the finish_push column */
};

/* One name of one table. */
struct slot {
	str                      table;
	const struct table_info *info;    /* NULL: no such table yet */
	const struct index_info *enabled; /* NULL: none */
	const struct index_info *pending;
	const struct index_def  *want;
};

#define LIST(pl, list, table_, def_)                                          \
	vec_push(&(pl)->diff->list, ((struct index_change){ (table_), (def_) }))

/* Nothing in the table, also as far as this transaction has written: recorded, so that a
 * concurrent insertion conflicts. */
static status
is_empty(struct txn *t, const struct table_info *info, bool *ret, struct err *e)
{
	struct doc *d;

	TRY(txn_sys_first(t, info->name, S("by_id"), NULL, 0, &d, e));
	*ret = !d;
	return ST_OK;
}

static status
create(struct planner *pl, const struct slot *s, struct err *e)
{
	const struct table_info *info;
	enum index_state         state = INDEX_BACKFILLED;
	bool                     empty;

	LIST(pl, added, s->table, *s->want);
	if (pl->dry)
		return ST_OK;
	TRY(ddl_ensure_table(pl->t, s->table, 0, &info, e));
	/* Search and vector indexes hold nothing that would have to be filled. */
	if (s->want->kind == INDEX_DATABASE) {
		TRY(is_empty(pl->t, info, &empty, e));
		state = empty ? INDEX_BACKFILLED : INDEX_BACKFILLING;
	}
	return ddl_insert_index(pl->t, info->tablet, s->want, state, s->want->staged, e);
}

/* Lists an index as removed; drops it if it is time. */
static status
discard(struct planner *pl, const struct slot *s, const struct index_info *ix, bool now,
    struct err *e)
{
	if (!ix)
		return ST_OK;
	LIST(pl, removed, s->table, ix->def);
	return now && !pl->dry ? ddl_drop_index(pl->t, ix, e) : ST_OK;
}

static status
set(struct planner *pl, const struct slot *s, const struct index_info *ix,
    enum index_state state, bool staged, struct err *e)
{
	return pl->dry ? ST_OK : ddl_set_index(pl->t, s->info, ix, state, staged, e);
}

/* The enabled one is what is wanted; an abandoned pending one goes. */
static status
keep_enabled(struct planner *pl, const struct slot *s, struct err *e)
{
	TRY(discard(pl, s, s->pending, true, e));
	if (!s->want->staged)
		return ST_OK;
	LIST(pl, disabled, s->table, *s->want);
	return pl->finish ? set(pl, s, s->enabled, INDEX_BACKFILLED, true, e) : ST_OK;
}

static status
enable(struct planner *pl, const struct slot *s, struct err *e)
{
	if (s->pending->state == INDEX_BACKFILLING)
		return err_internal(e, "index %.*s.%.*s is still backfilling", STR_ARG(s->table),
		    STR_ARG(s->want->name));
	if (s->pending->staged)
		LIST(pl, enabled, s->table, *s->want);
	else
		LIST(pl, added, s->table, *s->want);
	return set(pl, s, s->pending, INDEX_ENABLED, false, e);
}

static status
keep_pending(struct planner *pl, const struct slot *s, struct err *e)
{
	const struct index_info *p = s->pending;
	bool                     flag = s->want->staged;

	TRY(discard(pl, s, s->enabled, pl->finish, e));
	if (pl->finish && !flag)
		return enable(pl, s, e);
	if (p->staged == flag)
		return ST_OK;
	if (flag)
		LIST(pl, disabled, s->table, *s->want);
	else
		LIST(pl, enabled, s->table, *s->want);
	return set(pl, s, p, p->state, flag, e);
}

static status
settle(struct planner *pl, const struct slot *s, struct err *e)
{
	if (s->enabled && index_def_equal(&s->enabled->def, s->want))
		return keep_enabled(pl, s, e);
	if (s->pending && index_def_equal(&s->pending->def, s->want))
		return keep_pending(pl, s, e);
	if (pl->finish)
		return err_internal(e, "index %.*s.%.*s was not prepared", STR_ARG(s->table),
		    STR_ARG(s->want->name));
	TRY(discard(pl, s, s->pending, true, e));
	TRY(discard(pl, s, s->enabled, false, e));
	return create(pl, s, e);
}

static status
settle_table(struct planner *pl, const struct table_def *def, struct err *e)
{
	const struct table_info *info = catalog_table(pl->t->catalog, pl->t->component, def->name);

	for (size_t i = 0; i < def->nindexes; i++) {
		str         name = def->indexes[i].name;
		struct slot s = {
			.table = def->name,
			.info = info,
			.enabled = info ? table_index_in(info, name, true) : NULL,
			.pending = info ? table_index_in(info, name, false) : NULL,
			.want = &def->indexes[i],
		};

		TRY(settle(pl, &s, e));
	}
	return ST_OK;
}

static bool
is_wanted(const struct table_def *def, str name)
{
	for (size_t i = 0; def && i < def->nindexes; i++)
		if (str_eq(def->indexes[i].name, name))
			return true;
	return false;
}

/* Indexes of one stored table that the schema does not name. */
static status
drop_unwanted(struct planner *pl, const struct table_info *info, const struct table_def *def,
    struct err *e)
{
	struct slot s = { .table = info->name, .info = info };

	for (size_t i = 0; i < info->nindexes; i++) {
		const struct index_info *ix = &info->indexes[i];

		if (ix == info->by_id || ix == info->by_creation_time ||
		    is_wanted(def, ix->def.name))
			continue;
		TRY(discard(pl, &s, ix, pl->finish || ix->state != INDEX_ENABLED, e));
	}
	return ST_OK;
}

/* The catalogue changes under the loop: collect first. */
static status
drop_all_unwanted(struct planner *pl, const struct schema *schema, struct err *e)
{
	VEC(const struct table_info *) tables = { 0 };
	const struct table_info *info;
	status                   st = ST_OK;

	for (size_t i = 0; (info = catalog_table_at(pl->t->catalog, i)); i++)
		if (!info->system && info->state == TABLE_ACTIVE &&
		    uid_eq(info->component, pl->t->component))
			vec_push(&tables, info);
	for (size_t i = 0; i < tables.n && st == ST_OK; i++) {
		const struct table_def *def =
		    schema ? schema_table(schema, tables.v[i]->name) : NULL;

		st = drop_unwanted(pl, tables.v[i], def, e);
	}
	vec_clear(&tables);
	return st;
}

/* Moves one list of a diff to the arena. */
#define MOVE_LIST(a, to, from)                                                \
	do {                                                                  \
		if ((from)->n) {                                              \
			(to)->v = arena_alloc((a), (from)->n * sizeof *(from)->v); \
			memcpy((to)->v, (from)->v, (from)->n * sizeof *(from)->v); \
		}                                                             \
		(to)->n = (to)->cap = (from)->n;                              \
		vec_clear(from);                                              \
	} while (0)

static status
run(struct planner *pl, const struct schema *schema, struct index_diff *ret, struct err *e)
{
	struct index_diff diff, moved;
	status            st;

	memset(&diff, 0, sizeof diff);
	memset(&moved, 0, sizeof moved);
	pl->diff = &diff;
	txn_note_all_tables(pl->t);
	txn_note_all_indexes(pl->t);
	st = drop_all_unwanted(pl, schema, e);
	for (size_t i = 0; schema && i < schema->ntables && st == ST_OK; i++)
		st = settle_table(pl, &schema->tables[i], e);
	MOVE_LIST(pl->t->arena, &moved.added, &diff.added);
	MOVE_LIST(pl->t->arena, &moved.removed, &diff.removed);
	MOVE_LIST(pl->t->arena, &moved.enabled, &diff.enabled);
	MOVE_LIST(pl->t->arena, &moved.disabled, &diff.disabled);
	if (st == ST_OK)
		*ret = moved;
	return st;
}

status
ddl_prepare_indexes(struct txn *t, const struct schema *s, bool dry, struct index_diff *ret,
    struct err *e)
{
	return run(&(struct planner){ .t = t, .dry = dry || !s }, s, ret, e);
}

status
ddl_commit_indexes(struct txn *t, const struct schema *s, struct index_diff *ret, struct err *e)
{
	return run(&(struct planner){ .t = t, .finish = true }, s, ret, e);
}
