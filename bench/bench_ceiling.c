/* bench_ceiling.c - the same transfers without JavaScript: what the machine could do.
 *
 *     bench_ceiling PORT sqlite|log FILE ACCOUNTS
 *
 * One thread, one epoll loop.  All requests that arrive in one turn are one group: their writes
 * go into one SQLite transaction (WAL, synchronous=FULL), or into one append to a log followed
 * by one fdatasync, and only then are they answered.
 *
 * Thread: one.  Memory: the balances, in log mode.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define FDS_MAX    4096
#define TURN_MAX   512
#define START_CASH 1000000000

struct conn {
	size_t n;
	char   in[16384];
};

struct answer {
	int    fd;
	size_t n;
	char   out[4096];
};

struct bank {
	bool          sqlite;
	sqlite3      *db;
	sqlite3_stmt *begin, *commit, *get, *set;
	int64_t      *balance; /* log mode */
	int           log_fd;
	size_t        log_n;
	char          log[1 << 20];
	int           writes; /* in this turn */
	long          syncs;  /* since the start: what "stats" answers */
};

static struct bank    bank;
static struct conn   *conns[FDS_MAX];
static struct answer  answers[TURN_MAX];

static void
sql(const char *text)
{
	char *error = NULL;

	if (sqlite3_exec(bank.db, text, NULL, NULL, &error) != SQLITE_OK) {
		fprintf(stderr, "%s: %s\n", text, error);
		exit(1);
	}
}

static sqlite3_stmt *
prepare(const char *text)
{
	sqlite3_stmt *s = NULL;

	if (sqlite3_prepare_v3(bank.db, text, -1, SQLITE_PREPARE_PERSISTENT, &s, NULL) !=
	    SQLITE_OK) {
		fprintf(stderr, "%s: %s\n", text, sqlite3_errmsg(bank.db));
		exit(1);
	}
	return s;
}

static void
run(sqlite3_stmt *s)
{
	if (sqlite3_step(s) != SQLITE_DONE) {
		fprintf(stderr, "%s\n", sqlite3_errmsg(bank.db));
		exit(1);
	}
	sqlite3_reset(s);
}

static int64_t
balance_get(int id)
{
	int64_t value = -1;

	if (!bank.sqlite)
		return bank.balance[id];
	sqlite3_bind_int(bank.get, 1, id);
	if (sqlite3_step(bank.get) == SQLITE_ROW)
		value = sqlite3_column_int64(bank.get, 0);
	sqlite3_reset(bank.get);
	return value;
}

static void
balance_set(int id, int64_t value)
{
	if (!bank.sqlite) {
		bank.balance[id] = value;
		return;
	}
	sqlite3_bind_int64(bank.set, 1, value);
	sqlite3_bind_int(bank.set, 2, id);
	run(bank.set);
}

static void
transfer(int from, int to, int64_t amount)
{
	int64_t a, b;

	if (bank.writes++ == 0 && bank.sqlite)
		run(bank.begin);
	a = balance_get(from);
	b = balance_get(to);
	if (from == to || a < amount)
		return;
	balance_set(from, a - amount);
	balance_set(to, b + amount);
	if (!bank.sqlite) {
		int64_t record[8] = { from, a - amount, to, b + amount };

		memcpy(bank.log + bank.log_n, record, sizeof record);
		bank.log_n += sizeof record;
	}
}

static void
turn_durable(void)
{
	if (bank.writes == 0)
		return;
	if (bank.sqlite)
		run(bank.commit);
	else if (bank.log_n && (write(bank.log_fd, bank.log, bank.log_n) != (ssize_t)bank.log_n ||
	    fdatasync(bank.log_fd) != 0)) {
		perror("log");
		exit(1);
	}
	bank.writes = 0;
	bank.log_n = 0;
	bank.syncs++;
}

static long
member(const char *body, const char *name)
{
	const char *at = strstr(body, name);

	return at ? strtol(at + strlen(name), NULL, 10) : 0;
}

static void
reply(struct answer *a, const char *body)
{
	a->n += (size_t)snprintf(a->out + a->n, sizeof a->out - a->n,
	    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n%s",
	    strlen(body), body);
}

static void
handle(struct answer *a, const char *body)
{
	char text[128];

	if (strstr(body, "\"transfer\"")) {
		transfer((int)member(body, "\"from_id\":"), (int)member(body, "\"to_id\":"),
		    member(body, "\"amount\":"));
		reply(a, "{\"ok\":true}");
		return;
	}
	if (strstr(body, "\"stats\"")) {
		snprintf(
		    text, sizeof text, "{\"ok\":true,\"result\":{\"fsyncs\":%ld}}", bank.syncs);
		reply(a, text);
		return;
	}
	int id = (int)member(body, "\"id\":");

	snprintf(text, sizeof text, "{\"ok\":true,\"result\":{\"id\":%d,\"balance\":%ld}}", id,
	    (long)balance_get(id));
	reply(a, text);
}

/* Every complete request in the connection's buffer. */
static void
handle_input(struct conn *c, struct answer *a)
{
	for (;;) {
		char  *head_end = strstr(c->in, "\r\n\r\n");
		char  *length = strcasestr(c->in, "content-length:");
		size_t total;
		char   after;

		if (!head_end)
			return;
		total = (size_t)(head_end + 4 - c->in) +
		    (length && length < head_end ? strtoul(length + 15, NULL, 10) : 0);
		if (c->n < total)
			return;
		after = c->in[total];
		c->in[total] = 0;
		handle(a, head_end + 4);
		c->in[total] = after;
		memmove(c->in, c->in + total, c->n - total + 1);
		c->n -= total;
	}
}

static void
bank_open(const char *kind, const char *file, int accounts)
{
	bank.sqlite = strcmp(kind, "sqlite") == 0;
	if (!bank.sqlite) {
		bank.balance = malloc((size_t)accounts * sizeof *bank.balance);
		for (int i = 0; i < accounts; i++)
			bank.balance[i] = START_CASH;
		bank.log_fd = open(file, O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0644);
		return;
	}
	if (sqlite3_open(file, &bank.db) != SQLITE_OK)
		exit(1);
	sql("pragma journal_mode=wal");
	sql("pragma synchronous=full");
	sql("pragma cache_size=-64000");
	sql("create table accounts(id integer primary key, balance integer not null)");
	sql("begin");
	sqlite3_stmt *insert = prepare("insert into accounts values(?, ?)");

	for (int i = 0; i < accounts; i++) {
		sqlite3_bind_int(insert, 1, i);
		sqlite3_bind_int64(insert, 2, START_CASH);
		run(insert);
	}
	sql("commit");
	bank.begin = prepare("begin immediate");
	bank.commit = prepare("commit");
	bank.get = prepare("select balance from accounts where id=?");
	bank.set = prepare("update accounts set balance=? where id=?");
}

static int
listen_on(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 1024) < 0) {
		perror("listen");
		exit(1);
	}
	return fd;
}

static void
accept_one(int poll, int listener)
{
	struct epoll_event e = { .events = EPOLLIN };
	int fd = accept(listener, NULL, NULL), one = 1;

	if (fd < 0 || fd >= FDS_MAX)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	conns[fd] = calloc(1, sizeof *conns[fd]);
	e.data.fd = fd;
	epoll_ctl(poll, EPOLL_CTL_ADD, fd, &e);
}

int
main(int argc, char **argv)
{
	struct epoll_event events[TURN_MAX];
	int poll = epoll_create1(0), listener;

	if (argc != 5)
		return 2;
	bank_open(argv[2], argv[3], (int)strtol(argv[4], NULL, 10));
	listener = listen_on((int)strtol(argv[1], NULL, 10));
	epoll_ctl(poll, EPOLL_CTL_ADD, listener,
	    &(struct epoll_event){ .events = EPOLLIN, .data.fd = listener });
	for (;;) {
		int n = epoll_wait(poll, events, TURN_MAX, -1), nanswers = 0;

		for (int i = 0; i < n; i++) {
			int            fd = events[i].data.fd;
			struct answer *a = &answers[nanswers];
			struct conn   *c;
			ssize_t        got;

			if (fd == listener) {
				accept_one(poll, listener);
				continue;
			}
			c = conns[fd];
			got = read(fd, c->in + c->n, sizeof c->in - 1 - c->n);
			if (got <= 0) {
				close(fd);
				free(c);
				continue;
			}
			c->n += (size_t)got;
			c->in[c->n] = 0;
			a->fd = fd;
			a->n = 0;
			handle_input(c, a);
			nanswers += a->n > 0;
		}
		turn_durable();
		for (int i = 0; i < nanswers; i++)
			if (write(answers[i].fd, answers[i].out, answers[i].n) < 0)
				perror("write");
	}
}
