/* val.c - reading packed values in place.
 *
 * A field is found by binary search over the sorted offsets; nothing is parsed on the way.
 * Size and nesting of a container were noted when it was built, because every read and
 * write of a document counts its size.
 *
 * Thread: any.  Memory: borrowed.
 */
#include "value/val.h"

#include "value/layout.h"

static const uint8_t bytes_undefined[] = { TAG_UNDEFINED };
static const uint8_t bytes_null[] = { TAG_NULL };
static const uint8_t bytes_true[] = { TAG_TRUE };
static const uint8_t bytes_false[] = { TAG_FALSE };
static const uint8_t bytes_empty_object[HEAD_BYTES] = {
	TAG_OBJECT, [AT_NESTING] = 1, [AT_TOTAL] = HEAD_BYTES, [AT_SIZE] = 2
};

const struct val val_undefined = { bytes_undefined, sizeof bytes_undefined };
const struct val val_null = { bytes_null, sizeof bytes_null };
const struct val val_true = { bytes_true, sizeof bytes_true };
const struct val val_false = { bytes_false, sizeof bytes_false };
const struct val val_empty_object = { bytes_empty_object, sizeof bytes_empty_object };

enum val_kind
val_kind(struct val v)
{
	static const uint8_t kinds[] = {
		[TAG_UNDEFINED] = VAL_UNDEFINED, [TAG_NULL] = VAL_NULL, [TAG_INT64] = VAL_INT64,
		[TAG_FLOAT64] = VAL_FLOAT64, [TAG_FALSE] = VAL_BOOL, [TAG_TRUE] = VAL_BOOL,
		[TAG_STRING] = VAL_STRING, [TAG_BYTES] = VAL_BYTES, [TAG_ARRAY] = VAL_ARRAY,
		[TAG_OBJECT] = VAL_OBJECT, [TAG_COMMIT_TS] = VAL_COMMIT_TS,
	};

	if (!v.p)
		return VAL_UNDEFINED;
	must(v.p[0] < sizeof kinds);
	return kinds[v.p[0]];
}

int64_t
val_int64(struct val v)
{
	int64_t i;

	must(v.p && v.p[0] == TAG_INT64);
	memcpy(&i, v.p + 1, sizeof i);
	return i;
}

double
val_float64(struct val v)
{
	double d;

	must(v.p && v.p[0] == TAG_FLOAT64);
	memcpy(&d, v.p + 1, sizeof d);
	return d;
}

bool
val_bool(struct val v)
{
	must(v.p && (v.p[0] == TAG_FALSE || v.p[0] == TAG_TRUE));
	return v.p[0] == TAG_TRUE;
}

str
val_str(struct val v)
{
	must(v.p && (v.p[0] == TAG_STRING || v.p[0] == TAG_BYTES));
	return str_of(v.p + 5, load_u32(v.p + 1));
}

size_t
val_count(struct val v)
{
	must(is_container(v));
	return load_u32(v.p + AT_COUNT);
}

struct val
val_at(struct val v, size_t i)
{
	size_t   n = val_count(v);
	uint32_t start, end;

	must(v.p[0] == TAG_ARRAY && i < n);
	start = member_offset(v, i, n);
	end = member_offset(v, i + 1, n);
	return (struct val){ v.p + start, end - start };
}

/* The field that starts at `start` and ends before `end`. */
static struct val
field(struct val v, uint32_t start, uint32_t end, str *ret_name)
{
	uint32_t name_n = load_u16(v.p + start);
	uint32_t value = start + 2 + name_n;

	*ret_name = str_of(v.p + start + 2, name_n);
	return (struct val){ v.p + value, end - value };
}

struct val
val_field_at(struct val v, size_t i, str *ret_name)
{
	size_t n = val_count(v);

	must(v.p[0] == TAG_OBJECT && i < n);
	return field(v, member_offset(v, i, n), member_offset(v, i + 1, n), ret_name);
}

struct val
val_get(struct val v, str name)
{
	size_t lo = 0, hi, n;

	if (!v.p || v.p[0] != TAG_OBJECT)
		return VAL_NONE;
	n = hi = load_u32(v.p + AT_COUNT);
	while (lo < hi) {
		size_t     mid = lo + (hi - lo) / 2;
		str        at;
		struct val found = field(v, member_offset(v, mid, n),
		    member_offset(v, mid + 1, n), &at);
		int        c = str_cmp(name, at);

		if (c == 0)
			return found;
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return VAL_NONE;
}

struct val
val_path(struct val v, str path)
{
	size_t dot;

	while (v.p && str_find_char(path, '.', &dot)) {
		v = val_get(v, str_head(path, dot));
		path = str_from(path, dot + 1);
	}
	return val_get(v, path);
}

/* --- order --- */

static int
cmp_int64(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

/* IEEE totalOrder: as integers, with the magnitude of negatives turned round. */
static int
cmp_float64(double a, double b)
{
	int64_t x, y;

	memcpy(&x, &a, sizeof x);
	memcpy(&y, &b, sizeof y);
	x ^= (int64_t)((uint64_t)(x >> 63) >> 1);
	y ^= (int64_t)((uint64_t)(y >> 63) >> 1);
	return cmp_int64(x, y);
}

static int
cmp_members(struct val a, struct val b)
{
	size_t na = val_count(a), nb = val_count(b);
	bool   object = a.p[0] == TAG_OBJECT;

	for (size_t i = 0; i < na && i < nb; i++) {
		str        name_a = STR_EMPTY, name_b = STR_EMPTY;
		struct val x = object ? val_field_at(a, i, &name_a) : val_at(a, i);
		struct val y = object ? val_field_at(b, i, &name_b) : val_at(b, i);
		int        c = str_cmp(name_a, name_b);

		if (c == 0)
			c = val_cmp(x, y);
		if (c)
			return c;
	}
	return (na > nb) - (na < nb);
}

/* The pending commit timestamp stands for the largest Int64 (spec 03 section 1.6). */
static enum val_kind
rank(struct val v)
{
	enum val_kind kind = val_kind(v);

	return kind == VAL_COMMIT_TS ? VAL_INT64 : kind;
}

static int64_t
int64_or_token(struct val v)
{
	return v.p[0] == TAG_COMMIT_TS ? INT64_MAX : val_int64(v);
}

int
val_cmp(struct val a, struct val b)
{
	enum val_kind kind = rank(a);
	enum val_kind other = rank(b);

	if (kind != other)
		return kind < other ? -1 : 1;
	switch (kind) {
	case VAL_UNDEFINED:
	case VAL_NULL:
		return 0;
	case VAL_INT64:
	case VAL_COMMIT_TS:
		return cmp_int64(int64_or_token(a), int64_or_token(b));
	case VAL_FLOAT64:
		return cmp_float64(val_float64(a), val_float64(b));
	case VAL_BOOL:
		return (int)val_bool(a) - (int)val_bool(b);
	case VAL_STRING:
	case VAL_BYTES:
		return str_cmp(val_str(a), val_str(b));
	case VAL_ARRAY:
	case VAL_OBJECT:
		break;
	}
	return cmp_members(a, b);
}

bool
val_eq(struct val a, struct val b)
{
	if (a.p && b.p && a.n == b.n && memcmp(a.p, b.p, a.n) == 0)
		return true;
	return val_cmp(a, b) == 0;
}

/* --- size --- */

size_t
val_size(struct val v)
{
	switch (val_kind(v)) {
	case VAL_UNDEFINED: /* never stored; counted like null */
	case VAL_NULL:
	case VAL_BOOL:
		return 1;
	case VAL_INT64:
	case VAL_FLOAT64:
	case VAL_COMMIT_TS:
		return 9;
	case VAL_STRING:
	case VAL_BYTES:
		return 2 + val_str(v).n;
	case VAL_ARRAY:
	case VAL_OBJECT:
		break;
	}
	return load_u32(v.p + AT_SIZE);
}

int
val_nesting(struct val v)
{
	return is_container(v) ? v.p[AT_NESTING] : 0;
}

const char *
val_type_name(struct val v)
{
	switch (val_kind(v)) {
	case VAL_UNDEFINED:
		return "undefined";
	case VAL_NULL:
		return "Null";
	case VAL_INT64:
	case VAL_COMMIT_TS:
		return "Int64";
	case VAL_FLOAT64:
		return "Float64";
	case VAL_BOOL:
		return "Boolean";
	case VAL_STRING:
		return "String";
	case VAL_BYTES:
		return "Bytes";
	case VAL_ARRAY:
		return "Array";
	case VAL_OBJECT:
		break;
	}
	return "Object";
}
