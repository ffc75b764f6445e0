/* main.c - the program: its command line and its exit code.
 *
 * 0: ended as asked; 1: could not serve; 2: wrong command line.
 *
 * Thread: the main thread.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "main/server.h"
#include "main/version.h"

/* glibc gives every thread an arena that keeps what was freed; two are enough for us and keep
 * the idle process small. */
static void
tune_malloc(void)
{
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_TRIM_THRESHOLD, 1 << 20);
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
}

/* RUST_LOG is what container set-ups use for this server's like. */
static void
set_log_level(void)
{
	const char *level = getenv("RUST_LOG");
	str         s = str_z(level);
	size_t      at;

	if (str_find(s, S("debug"), &at) || str_find(s, S("trace"), &at))
		log_set_level(LOG_DEBUG);
	else if (str_find(s, S("info"), &at) || s.n == 0)
		log_set_level(LOG_INFO);
	else if (str_find(s, S("warn"), &at))
		log_set_level(LOG_WARN);
	else
		log_set_level(LOG_ERROR);
}

static status
keygen(const struct flags *f, struct err *e)
{
	uint8_t    secret[32];
	struct buf key;

	TRY(auth_parse_secret(str_z(f->instance_secret), secret, e));
	buf_init(&key, 4096);
	auth_make_admin_key(&key, str_z(f->instance_name), secret, os_real(), f->read_only);
	printf("%.*s\n", STR_ARG(buf_str(&key))); /* nothing else: the CLI takes all of stdout */
	buf_clear(&key);
	return ST_OK;
}

static int
fail(const struct err *e, int code)
{
	fprintf(stderr, "fresnel: %.*s\n", STR_ARG(e->text));
	return code;
}

int
main(int argc, char **argv)
{
	struct arena *a = arena_new();
	struct err    e = err_in(a);
	struct flags  f;
	status        st;

	if (flags_parse(argc, argv, &f, &e) != ST_OK)
		return fail(&e, 2);
	switch (f.command) {
	case COMMAND_HELP:
		fputs(flags_help(), stdout);
		return 0;
	case COMMAND_VERSION:
		puts("fresnel " FRESNEL_VERSION);
		return 0;
	case COMMAND_KEYGEN:
		st = keygen(&f, &e);
		break;
	default:
		tune_malloc();
		set_log_level();
		st = server_run(&f, &e);
		break;
	}
	if (st != ST_OK)
		return fail(&e, 1);
	arena_free(a);
	return 0;
}
