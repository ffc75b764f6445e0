/* main.c - the program: its command line and its exit code.
 *
 * 0: ended as asked; 1: could not serve; 2: wrong command line.  `verify` has codes of its own
 * (tools.h).
 *
 * Thread: the main thread.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "main/server.h"
#include "main/tools.h"
#include "main/version.h"
#include "os/file.h"

#define EXIT_WRONG_LINE 2

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

/* *ret_code: of a command that ends with another code than its status says. */
static status
run(const struct flags *f, int *ret_code, struct err *e)
{
	switch (f->command) {
	case COMMAND_HELP:
		fputs(flags_help(), stdout);
		return ST_OK;
	case COMMAND_VERSION:
		puts("fresnel " FRESNEL_VERSION);
		return ST_OK;
	case COMMAND_KEYGEN:
		return keygen(f, e);
	case COMMAND_VERIFY:
		set_log_level();
		return verify_command(f, ret_code, e);
	case COMMAND_COMPACT:
		set_log_level();
		return compact_command(f, e);
	default:
		tune_malloc();
		set_log_level();
		return server_run(f, e);
	}
}

int
main(int argc, char **argv)
{
	struct arena *a = arena_new();
	struct err    e = err_in(a);
	struct flags  f;
	int           code = EXIT_WRONG_LINE;
	status        st = flags_parse(argc, argv, &f, &e);

	if (st == ST_OK) {
		f.db_path = file_resolve(f.db_path, a);
		code = EXIT_SUCCESS;
		st = run(&f, &code, &e);
		if (st != ST_OK && code == EXIT_SUCCESS)
			code = EXIT_FAILURE;
	}
	if (st != ST_OK)
		fprintf(stderr, "fresnel: %.*s\n", STR_ARG(e.text));
	arena_free(a);
	return code;
}
