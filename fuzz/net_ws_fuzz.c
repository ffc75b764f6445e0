/* net_ws_fuzz.c - whatever frames a WebSocket client sends, in whatever pieces. */
#include "net/ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct peer {
	struct ws *w;
	int        over;
};

static void
message(void *arg, struct buf *text)
{
	struct peer *p = arg;

	must(str_utf8_valid(buf_str(text)));
	ws_send(p->w, blob_new(buf_str(text)));
}

static void
over(void *arg)
{
	struct peer *p = arg;

	must(p->over++ == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct peer          p = { NULL, 0 };
	const struct ws_host host = { &p, message, over };
	struct out           out;
	size_t               step;

	if (size == 0)
		return 0;
	step = data[0] + 1u;
	out_init(&out);
	p.w = ws_new(&host, &out);
	for (size_t i = 1; i < size; i += step)
		ws_feed(p.w, str_of(data + i, size - i < step ? size - i : step));
	ws_close(p.w, 1001, STR_EMPTY);
	must(!ws_open(p.w));
	ws_free(p.w);
	out_clear(&out);
	return 0;
}
