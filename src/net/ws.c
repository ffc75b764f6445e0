/* ws.c - the server's side of one WebSocket: see ws.h.
 *
 * wslay parses frames (its frame layer: header, masking, the rules for control frames); what we
 * add is putting fragments together, control frames and closing.  Frames that we send are so
 * simple - never masked, never fragmented - that their header is written here, in front of
 * bytes that are shared by many connections.
 *
 * Thread: the loop thread.  Memory: the incoming message and wslay's 4 KiB.
 */
#include <wslay/wslay.h>

#include "base/enc.h"
#include "base/hash.h"
#include "base/mem.h"
#include "net/ws.h"

#define CONTROL_MAX 125
#define CLOSE_NO_CODE 0
#define CLOSE_INTERNAL 1011

struct ws {
	struct ws_host           host;
	struct out              *out; /* borrowed */
	wslay_frame_context_ptr  frames;
	str                      input; /* of the ws_feed() that runs */

	/* the frame that is arriving */
	bool     in_frame;
	bool     fin;
	uint8_t  opcode;
	uint64_t frame_left;

	bool       in_message; /* a data message has begun */
	bool       binary;
	struct buf message;
	struct buf control;

	bool close_sent, close_received;
};

static ssize_t
take_input(uint8_t *p, size_t n, int flags, void *arg)
{
	struct ws *w = arg;

	(void)flags;
	if (n > w->input.n)
		n = w->input.n;
	if (n == 0)
		return -1; /* wslay's "would block" */
	memcpy(p, w->input.p, n);
	w->input = str_from(w->input, n);
	return (ssize_t)n;
}

struct ws *
ws_new(const struct ws_host *host, struct out *out)
{
	const struct wslay_frame_callbacks callbacks = { .recv_callback = take_input };
	struct ws                         *w = MEM_NEW(struct ws);

	w->host = *host;
	w->out = out;
	must(wslay_frame_context_init(&w->frames, &callbacks, w) == 0);
	buf_init(&w->message, WS_MESSAGE_MAX);
	buf_init(&w->control, CONTROL_MAX);
	return w;
}

void
ws_free(struct ws *w)
{
	if (!w)
		return;
	wslay_frame_context_free(w->frames);
	buf_clear(&w->message);
	buf_clear(&w->control);
	mem_free(w);
}

bool
ws_open(const struct ws *w)
{
	return !w->close_sent;
}

bool
ws_finished(const struct ws *w)
{
	return w->close_sent && w->close_received;
}

size_t
ws_held(const struct ws *w)
{
	return w->message.cap;
}

/* --- out --- */

static void
frame_head(struct ws *w, uint8_t opcode, size_t n)
{
	uint8_t head[10] = { (uint8_t)(0x80 | opcode) };
	size_t  len = 2;

	if (n < 126) {
		head[1] = (uint8_t)n;
	} else if (n < 65536) {
		head[1] = 126;
		head[2] = (uint8_t)(n >> 8);
		head[3] = (uint8_t)n;
		len = 4;
	} else {
		head[1] = 127;
		for (size_t i = 0; i < 8; i++)
			head[2 + i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
		len = 10;
	}
	out_add(w->out, str_of(head, len));
}

static void
send_control(struct ws *w, uint8_t opcode, str payload)
{
	if (w->close_sent)
		return;
	frame_head(w, opcode, payload.n);
	out_add(w->out, payload);
}

void
ws_send(struct ws *w, struct blob *text)
{
	if (w->close_sent) {
		blob_unref(text);
		return;
	}
	frame_head(w, WSLAY_TEXT_FRAME, text->n);
	out_share(w->out, text);
}

void
ws_ping(struct ws *w)
{
	send_control(w, WSLAY_PING, STR_EMPTY);
}

void
ws_close(struct ws *w, int code, str reason)
{
	uint8_t payload[CONTROL_MAX];
	size_t  n = 0;

	if (code != CLOSE_NO_CODE) {
		payload[0] = (uint8_t)((unsigned)code >> 8);
		payload[1] = (uint8_t)code;
		reason = str_utf8_cut(reason, CONTROL_MAX - 2);
		if (reason.n > 0)
			memcpy(payload + 2, reason.p, reason.n);
		n = 2 + reason.n;
	}
	send_control(w, WSLAY_CONNECTION_CLOSE, str_of(payload, n));
	w->close_sent = true;
	buf_clear(&w->message);
}

/* --- in --- */

static void
broken(struct ws *w)
{
	bool told = w->close_sent;

	ws_close(w, CLOSE_INTERNAL, S("InternalServerError"));
	w->close_received = true; /* what follows cannot be understood */
	if (!told)
		w->host.over(w->host.arg);
}

static void
close_frame(struct ws *w)
{
	bool told = w->close_sent;
	str  payload = buf_str(&w->control);

	/* a code of one byte is nonsense; echo what is a code */
	if (payload.n >= 2)
		ws_close(w, (uint8_t)payload.p[0] << 8 | (uint8_t)payload.p[1], STR_EMPTY);
	else
		ws_close(w, CLOSE_NO_CODE, STR_EMPTY);
	w->close_received = true;
	if (!told)
		w->host.over(w->host.arg);
}

static void
frame_end(struct ws *w)
{
	w->in_frame = false;
	switch (w->opcode) {
	case WSLAY_PING:
		send_control(w, WSLAY_PONG, buf_str(&w->control));
		break;
	case WSLAY_PONG:
		break;
	case WSLAY_CONNECTION_CLOSE:
		close_frame(w);
		break;
	default:
		if (!w->fin)
			return;
		w->in_message = false;
		if (w->binary || !str_utf8_valid(buf_str(&w->message))) {
			broken(w);
			return;
		}
		if (!w->close_sent)
			w->host.message(w->host.arg, &w->message);
		if (w->message.cap > 65536)
			buf_clear(&w->message);
		buf_reset(&w->message);
	}
}

/* Checks the header of a new frame.  False: it breaks the rules. */
static bool
frame_start(struct ws *w, const struct wslay_frame_iocb *f)
{
	bool control = wslay_is_ctrl_frame(f->opcode);

	if (f->rsv != 0 || !f->mask || f->payload_length > WS_FRAME_MAX)
		return false;
	w->in_frame = true;
	w->fin = f->fin;
	w->opcode = f->opcode;
	w->frame_left = f->payload_length;
	if (control) {
		buf_reset(&w->control);
		return f->opcode <= WSLAY_PONG;
	}
	if (f->opcode == WSLAY_CONTINUATION_FRAME)
		return w->in_message;
	if (w->in_message || f->opcode > WSLAY_BINARY_FRAME)
		return false;
	w->in_message = true;
	w->binary = f->opcode == WSLAY_BINARY_FRAME;
	return true;
}

/* One step of wslay: a frame's header and some of its payload.  False: no more for now. */
static bool
frame_step(struct ws *w)
{
	struct wslay_frame_iocb f;
	ssize_t                 n;

	memset(&f, 0, sizeof f);
	n = wslay_frame_recv(w->frames, &f);
	if (n == WSLAY_ERR_WANT_READ)
		return false;
	if (n < 0 || (!w->in_frame && !frame_start(w, &f)) || f.data_length > w->frame_left) {
		broken(w);
		return false;
	}
	w->frame_left -= f.data_length;
	if (!w->close_sent || wslay_is_ctrl_frame(w->opcode)) {
		struct buf *to = wslay_is_ctrl_frame(w->opcode) ? &w->control : &w->message;

		buf_add(to, str_of(f.data, f.data_length));
		if (!buf_ok(to)) {
			broken(w);
			return false;
		}
	}
	if (w->frame_left == 0)
		frame_end(w);
	return !w->close_received;
}

void
ws_feed(struct ws *w, str bytes)
{
	w->input = bytes;
	while (!w->close_received && frame_step(w))
		;
	w->input = STR_EMPTY;
}

void
ws_accept_key(struct buf *out, str key)
{
	struct buf b;
	uint8_t    digest[20];

	buf_init(&b, BUF_MAX_DEFAULT);
	buf_add(&b, key);
	buf_addz(&b, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
	sha1(buf_str(&b), digest);
	buf_clear(&b);
	enc_base64(out, str_of(digest, sizeof digest));
}
