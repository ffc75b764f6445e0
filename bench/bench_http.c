/* bench_http.c - a closed-loop HTTP driver.
 *
 *     bench_http PORT KIND CONNECTIONS SECONDS ALPHA ACCOUNTS
 *
 * KIND: transfer | get   the functions transfer:transfer and accounts:get_account of bench/app
 *       item | increment   items:get and counters:increment, ACCOUNTS of them
 *       peer-transfer | peer-get   the same of the peers: POST /rpc {"name","args"}
 * ALPHA: 0 picks accounts uniformly, else by Zipf's law with that exponent.
 *
 * Each connection sends its next request when the last one was answered.  Prints one JSON line:
 * operations per second, latency in milliseconds, errors.
 *
 * Thread: one.  Memory: latencies as floats, bounded.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LATENCIES_MAX 8000000
#define ANSWER_MAX    65536

struct conn {
	int    fd;
	size_t n;      /* bytes of the answer so far */
	double sent_s;
	char   answer[ANSWER_MAX];
};

struct load {
	const char *kind;
	int         accounts;
	double     *cumulative; /* Zipf; NULL: uniform */
	uint64_t    random;
	float      *latency_s;
	size_t      done, errors;
	char        first_error[300];
};

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* xorshift64 (Marsaglia, 2003). */
static uint64_t
next_random(struct load *l)
{
	l->random ^= l->random << 13;
	l->random ^= l->random >> 7;
	l->random ^= l->random << 17;
	return l->random;
}

static void
zipf_init(struct load *l, double alpha)
{
	double total = 0, sum = 0;

	l->cumulative = malloc((size_t)l->accounts * sizeof *l->cumulative);
	for (int i = 0; i < l->accounts; i++)
		total += 1 / pow(i + 1, alpha);
	for (int i = 0; i < l->accounts; i++) {
		sum += 1 / pow(i + 1, alpha) / total;
		l->cumulative[i] = sum;
	}
	l->cumulative[l->accounts - 1] = 1;
}

static int
pick(struct load *l)
{
	double u = (double)(next_random(l) >> 11) * 0x1p-53;
	int    lo = 0, hi = l->accounts - 1;

	if (!l->cumulative)
		return (int)(next_random(l) % (uint64_t)l->accounts);
	while (lo < hi) {
		int mid = (lo + hi) / 2;

		if (l->cumulative[mid] < u)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void
send_request(struct load *l, struct conn *c)
{
	char        body[256], request[768];
	const char *path = "/rpc";
	int         from = pick(l), to = pick(l);

	for (int i = 0; i < 32 && to == from; i++)
		to = pick(l);
	if (strcmp(l->kind, "transfer") == 0) {
		path = "/api/mutation";
		snprintf(body, sizeof body,
		    "{\"path\":\"transfer:transfer\",\"args\":{\"amount\":1,\"from_id\":%d,\"to_"
		    "id\":%d},"
		    "\"format\":\"json\"}",
		    from, to);
	} else if (strcmp(l->kind, "get") == 0) {
		path = "/api/query";
		snprintf(body, sizeof body,
		    "{\"path\":\"accounts:get_account\",\"args\":{\"id\":%d},\"format\":\"json\"}",
		    from);
	} else if (strcmp(l->kind, "item") == 0) {
		path = "/api/query";
		snprintf(body, sizeof body,
		    "{\"path\":\"items:get\",\"args\":{\"n\":%d},\"format\":\"json\"}", from);
	} else if (strcmp(l->kind, "increment") == 0) {
		path = "/api/mutation";
		snprintf(body, sizeof body,
		    "{\"path\":\"counters:increment\",\"args\":{\"id\":%d},\"format\":\"json\"}",
		    from);
	} else if (strcmp(l->kind, "peer-transfer") == 0) {
		snprintf(body, sizeof body,
		    "{\"name\":\"transfer\",\"args\":{\"amount\":1,\"from_id\":%d,\"to_id\":%d}}",
		    from, to);
	} else {
		snprintf(body, sizeof body, "{\"name\":\"getAccount\",\"args\":{\"id\":%d}}", from);
	}
	int n = snprintf(request, sizeof request,
	    "POST %s HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
	    "content-length: %zu\r\n\r\n%s", path, strlen(body), body);

	c->n = 0;
	c->sent_s = now_s();
	if (write(c->fd, request, (size_t)n) != n)
		l->errors++;
}

/* The whole answer is there: head and content-length or chunked body. */
static bool
answer_complete(struct conn *c)
{
	char *head_end = strstr(c->answer, "\r\n\r\n");
	char *length = strcasestr(c->answer, "content-length:");

	if (!head_end)
		return false;
	if (length && length < head_end)
		return c->n >= (size_t)(head_end + 4 - c->answer) + strtoul(length + 15, NULL, 10);
	return c->n >= 5 && memcmp(c->answer + c->n - 5, "0\r\n\r\n", 5) == 0;
}

static void
on_readable(struct load *l, struct conn *c)
{
	ssize_t n = read(c->fd, c->answer + c->n, sizeof c->answer - 1 - c->n);
	bool    ok;

	if (n <= 0) {
		fprintf(stderr, "the server closed a connection\n");
		exit(1);
	}
	c->n += (size_t)n;
	c->answer[c->n] = 0;
	if (!answer_complete(c))
		return;
	ok = memcmp(c->answer + 9, "200", 3) == 0 && !strstr(c->answer, "\"status\":\"error\"");
	if (!ok && l->errors++ == 0)
		snprintf(l->first_error, sizeof l->first_error, "%.280s", c->answer);
	if (l->done < LATENCIES_MAX)
		l->latency_s[l->done++] = (float)(now_s() - c->sent_s);
	send_request(l, c);
}

static int
dial(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
		perror("connect");
		exit(1);
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static int
by_size(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

int
main(int argc, char **argv)
{
	struct epoll_event events[256];
	struct load        l = { .random = 88172645463325252u };
	double             begin, seconds;
	int                poll = epoll_create1(0), nconns;

	if (argc != 7) {
		fprintf(stderr, "bench_http PORT KIND CONNECTIONS SECONDS ALPHA ACCOUNTS\n");
		return 2;
	}
	l.kind = argv[2];
	l.accounts = (int)strtol(argv[6], NULL, 10);
	l.random ^= (uint64_t)getpid() << 20;
	l.latency_s = malloc(LATENCIES_MAX * sizeof *l.latency_s);
	if (strtod(argv[5], NULL) > 0)
		zipf_init(&l, strtod(argv[5], NULL));
	nconns = (int)strtol(argv[3], NULL, 10);
	seconds = strtod(argv[4], NULL);
	struct conn *conns = calloc((size_t)nconns, sizeof *conns);

	for (int i = 0; i < nconns; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = &conns[i] };

		conns[i].fd = dial((int)strtol(argv[1], NULL, 10));
		epoll_ctl(poll, EPOLL_CTL_ADD, conns[i].fd, &e);
	}
	begin = now_s();
	for (int i = 0; i < nconns; i++)
		send_request(&l, &conns[i]);
	while (now_s() - begin < seconds) {
		int n = epoll_wait(poll, events, 256, 200);

		for (int i = 0; i < n; i++)
			on_readable(&l, events[i].data.ptr);
	}
	if (l.done == 0) {
		fprintf(stderr, "no answers\n");
		return 1;
	}
	seconds = now_s() - begin;
	qsort(l.latency_s, l.done, sizeof *l.latency_s, by_size);
	printf("{\"ops\":%zu,\"per_second\":%.1f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"errors\":%zu}\n",
	    l.done, (double)l.done / seconds, (double)l.latency_s[l.done / 2] * 1e3,
	    (double)l.latency_s[l.done * 99 / 100] * 1e3, l.errors);
	if (l.errors)
		fprintf(stderr, "first error: %s\n", l.first_error);
	return 0;
}
