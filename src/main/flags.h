/* flags.h - the command line (spec 02 sections 1.4.4 and 1.5, spec 05 section 12).
 *
 * Options may stand anywhere, also behind the database file, as "--name value" or "--name=value".
 * What the reference server knows and we have no use for is accepted and ignored, so that the
 * CLI and container scripts work unchanged.
 *
 * Thread: the main thread.  Memory: values point into argv.
 */
#ifndef MAIN_FLAGS_H
#define MAIN_FLAGS_H

#include "base/err.h"

enum flags_command {
	COMMAND_SERVE,
	COMMAND_HELP,
	COMMAND_VERSION,
	COMMAND_KEYGEN,
	COMMAND_VERIFY,
	COMMAND_COMPACT
};

struct flags {
	enum flags_command command;
	bool        names_db; /* a command came first that takes a database file */
	const char *db_path;
	const char *interface;
	int         port, site_port;
	const char *origin, *site_origin; /* NULL: from interface and port */
	const char *http_proxy;           /* of fetch(); NULL: none */
	const char *instance_name;
	const char *instance_secret;      /* NULL: none given */
	const char *local_storage;
	bool        redact;
	bool        banner;               /* print where we are and the admin key */
	bool        read_only;            /* keygen: a key for reading only */
	size_t      cache_bytes;          /* 0: budget_default() */
	int         index_retention, document_retention; /* seconds; 0: not given */
	int workers; /* function threads; 0: as many as processors, at least 2 */
	int workers_max; /* with substitutes for those that are busy for long; 0: by memory */
};

/* BAD_REQUEST with a text that names the option. */
NODISCARD status flags_parse(int argc, char **argv, struct flags *ret, struct err *e);
const char *flags_help(void);

#endif
