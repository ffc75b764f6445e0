/* child.c - starting other programs.
 *
 * posix_spawn, because fork() of a process with many threads and a large heap is slow and only
 * async-signal-safe calls are allowed behind it.
 *
 * Thread: any.  Memory: the caller's.
 */
#include "node/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/vec.h"
#include "os/os.h"

extern char **environ;

#define NS_PER_MS  1000000u
#define READ_BYTES 4096

/* Output first: the descriptor that becomes 3 may not be overwritten before it was copied, and
 * none of ours is below 3. */
static void
spawn_descriptors(posix_spawn_file_actions_t *fa, const struct child_opts *o)
{
	int output = o->output >= 0 ? o->output : STDERR_FILENO;

	must(posix_spawn_file_actions_addopen(fa, STDIN_FILENO, "/dev/null", O_RDONLY, 0) == 0);
	must(posix_spawn_file_actions_adddup2(fa, output, STDOUT_FILENO) == 0);
	must(posix_spawn_file_actions_adddup2(fa, output, STDERR_FILENO) == 0);
	if (o->link >= 0)
		must(posix_spawn_file_actions_adddup2(fa, o->link, 3) == 0);
	must(posix_spawn_file_actions_addclosefrom_np(fa, o->link >= 0 ? 4 : 3) == 0);
	must(posix_spawn_file_actions_addchdir_np(fa, o->folder) == 0);
}

/* Our threads block signals, and SIGPIPE is ignored: a child starts without either. */
static void
spawn_signals(posix_spawnattr_t *attr)
{
	sigset_t none, defaults;

	sigemptyset(&none);
	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	must(posix_spawnattr_setsigmask(attr, &none) == 0);
	must(posix_spawnattr_setsigdefault(attr, &defaults) == 0);
	must(posix_spawnattr_setpgroup(attr, 0) == 0);
	must(posix_spawnattr_setflags(attr,
		 POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP) == 0);
}

status
child_start(const struct child_opts *o, pid_t *ret, struct err *e)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	pid_t pid;
	int rc;

	must(posix_spawn_file_actions_init(&fa) == 0);
	must(posix_spawnattr_init(&attr) == 0);
	spawn_descriptors(&fa, o);
	spawn_signals(&attr);
	rc = posix_spawn(
	    &pid, o->argv[0], &fa, &attr, (char *const *)o->argv, (char *const *)o->envp);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	if (rc) {
		errno = rc;
		return err_os(e, "cannot start", o->argv[0]);
	}
	if (o->nice)
		(void)setpriority(PRIO_PROCESS, (id_t)pid, o->nice);
	(void)prlimit(pid, RLIMIT_CORE, &(struct rlimit){ 0, 0 }, NULL);
	*ret = pid;
	return ST_OK;
}

void
child_limit_cpu(pid_t pid, uint64_t seconds)
{
	struct timespec used = { 0 };
	struct rlimit r;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0 ||
	    prlimit(pid, RLIMIT_CPU, NULL, &r) != 0)
		return; /* it is gone */
	r.rlim_cur = (rlim_t)used.tv_sec + seconds + 1;
	if (r.rlim_cur > r.rlim_max)
		r.rlim_cur = r.rlim_max;
	(void)prlimit(pid, RLIMIT_CPU, &r, NULL);
}

/* A program may close its output long before it ends. */
static bool
wait_until(pid_t pid, uint64_t deadline_ns, int *ret_code)
{
	const struct timespec pause = { .tv_nsec = 5 * (long)NS_PER_MS };

	while (waitpid(pid, ret_code, WNOHANG) == 0) {
		if (os_mono_ns(os_real()) >= deadline_ns)
			return false;
		(void)nanosleep(&pause, NULL);
	}
	return true;
}

void
child_end(pid_t pid)
{
	(void)kill(-pid, SIGKILL);
	(void)kill(pid, SIGKILL); /* its group may not exist yet */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

/* Reads until the end of the file: true, or until the deadline. */
static bool
read_output(int fd, uint64_t deadline_ns, struct buf *out)
{
	char room[READ_BYTES];

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now = os_mono_ns(os_real());
		ssize_t n;

		if (now >= deadline_ns)
			return false;
		if (poll(&p, 1, (int)((deadline_ns - now) / NS_PER_MS) + 1) <= 0)
			continue;
		n = read(fd, room, sizeof room);
		if (n == 0 || (n < 0 && errno != EINTR))
			return true;
		if (n > 0)
			buf_add(out, str_head(str_of(room, (size_t)n), out->max - out->n));
	}
}

status
child_run(
    const struct child_opts *o, uint64_t timeout_ns, struct buf *out, bool *ret_good, struct err *e)
{
	struct child_opts with = *o;
	uint64_t deadline = os_mono_ns(os_real()) + timeout_ns;
	int ends[2], code = 0;
	pid_t pid;
	status st;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return err_os(e, "pipe", o->argv[0]);
	with.output = ends[1];
	st = child_start(&with, &pid, e);
	(void)close(ends[1]);
	if (st == ST_OK) {
		bool over = read_output(ends[0], deadline, out) && wait_until(pid, deadline, &code);

		*ret_good = over && WIFEXITED(code) && WEXITSTATUS(code) == 0;
		if (!over)
			child_end(pid);
	}
	(void)close(ends[0]);
	return st;
}

const char *
child_find(struct arena *a, const char *name)
{
	str path = str_z(getenv("PATH"));

	while (path.n) {
		size_t at;
		str part = str_find_char(path, ':', &at) ? str_head(path, at) : path;
		const char *full;

		path = str_from(path, part.n + 1);
		full = arena_fmt(a, "%.*s/%s", STR_ARG(part), name).p;
		if (part.n && access(full, X_OK) == 0)
			return full;
	}
	return NULL;
}

static bool
is_listed(const char *variable, const char *const *names)
{
	str v = str_z(variable);

	for (; *names; names++) {
		str name = str_z(*names);
		size_t at;

		if (str_ends(name, S("*")) && str_starts(v, str_head(name, name.n - 1)))
			return true;
		if (str_find_char(v, '=', &at) && str_eq(str_head(v, at), name))
			return true;
	}
	return false;
}

const char *const *
child_environment(struct arena *a, const char *const *names)
{
	size_t n = 0, have = 0;
	const char **ret;

	while (environ[have])
		have++;
	ret = ARENA_ARRAY(a, const char *, have + 1);
	for (size_t i = 0; i < have; i++)
		if (is_listed(environ[i], names))
			ret[n++] = environ[i];
	return ret;
}
