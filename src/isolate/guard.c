/* guard.c - the jumps out of an engine: see guard.h.
 *
 * The engine asks whether to go on at calls and loops of JavaScript, ten thousand of them apart. In
 * between lie functions written in C that take as long as they like: [].indexOf.call({ length: 2 **
 * 53 }), a product of two large BigInts, a search in a string.  For those the watchdog
 * (runtime/watchdog.h) sends the thread a signal.  Its handler leaves the engine on the spot if the
 * interrupted instruction is the engine's own: the build puts all of its code into one section
 * (CMakeLists.txt), so that is a comparison of addresses.  The engine's state is lost by that, but
 * so is its whole heap; the code holds no lock and is not inside of malloc().  The same goes for
 * the few functions of the C library that move and search bytes: they are leaves, so the address on
 * top of the stack says whether the engine called them.  An instruction of anybody else is left
 * alone, and the signal comes again a millisecond later.
 *
 * Thread: the isolate's; the handler runs on it.  Memory: guards and undos are in stack frames.
 */
#include "isolate/guard.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "base/blob.h"
#include "base/mem.h"
#include "isolate/engine_int.h"
#include "runtime/watchdog.h"

/* The section's borders, by the linker. */
extern const char __start_engine_text[], __stop_engine_text[];

struct guard {
	sigjmp_buf     back;
	struct guard  *outer;
	struct undo   *undo; /* not ours: of frames further out */
	struct engine *en;
};

static _Thread_local struct guard *guard;
static _Thread_local int           holds;
_Thread_local struct undo         *undo_top;

void
undo_buf(void *buf)
{
	buf_clear(buf);
}

void
undo_mem(void *p)
{
	void *m;

	memcpy(&m, p, sizeof m); /* a pointer to whatever */
	mem_free(m);
}

void
undo_arena(void *arena)
{
	arena_free(arena);
}

void
undo_blob(void *blob)
{
	blob_unref(blob);
}

void
guard_hold(void)
{
	holds++;
}

void
guard_release(void)
{
	holds--;
}

/* The frames between here and the guard are still there. */
static NORETURN void
jump(enum jump why)
{
	struct guard *g = guard;

	while (undo_top != g->undo) {
		struct undo *u = undo_top;

		undo_top = u->outer;
		u->fn(u->arg);
	}
	siglongjmp(g->back, (int)why);
}

void
engine_abort(void)
{
	if (guard)
		jump(JUMP_ABORT);
	abort();
}

enum jump
guard_call(struct engine *en, void (*fn)(void *arg), void *arg)
{
	struct guard g = { .outer = guard, .undo = undo_top, .en = en };
	int          before = holds;
	enum jump    why;

	/* The signal mask needs no saving: the handler does not change it. */
	why = (enum jump)sigsetjmp(g.back, 0);
	if (why == JUMP_NONE) {
		guard = &g;
		fn(arg);
	}
	guard = g.outer;
	holds = before;
	return why;
}

/* --- the end of time --- */

/* Functions that use neither stack nor locks, as the dynamic linker chose them for this processor.
 */
#define LEAF_BYTES 512 /* of code, at the least; neighbours are of the same kind */
static uintptr_t leaves[5];

static bool
is_engine(uintptr_t pc)
{
	return pc >= (uintptr_t)__start_engine_text && pc < (uintptr_t)__stop_engine_text;
}

static bool
is_leaf(uintptr_t pc)
{
#ifdef FRESNEL_SANITIZE
	return false; /* the sanitizer's own functions are in their place */
#endif
	for (size_t i = 0; i < COUNT_OF(leaves); i++)
		if (pc >= leaves[i] && pc < leaves[i] + LEAF_BYTES)
			return true;
	return false;
}

#if defined(__SANITIZE_THREAD__)
#define SIGNALS_COME_LATE 1 /* this sanitizer keeps them for one of its own functions */
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SIGNALS_COME_LATE 1
#endif
#endif

static bool
in_engine(const void *context)
{
#ifdef SIGNALS_COME_LATE
	return false;
#endif
	const ucontext_t *u = context;
#if defined(__x86_64__)
	uintptr_t pc = (uintptr_t)u->uc_mcontext.gregs[REG_RIP], caller;

	memcpy(&caller, (const void *)(uintptr_t)u->uc_mcontext.gregs[REG_RSP], sizeof caller);
#elif defined(__aarch64__)
	uintptr_t pc = (uintptr_t)u->uc_mcontext.pc, caller = (uintptr_t)u->uc_mcontext.regs[30];
#else
#error                                                                                             \
    "where does this machine keep the addresses of the interrupted instruction and of its caller?"
#endif

	return is_engine(pc) || (is_leaf(pc) && is_engine(caller));
}

/* Checks everything itself: the signal may have been meant for a run that is over. */
static void
on_signal(int sig, siginfo_t *info, void *context)
{
	int saved = errno;

	(void)sig;
	(void)info;
	if (guard && guard->en && holds == 0 && in_engine(context) && run_is_over(guard->en))
		jump(JUMP_TIME);
	errno = saved;
}

void
guard_install(void)
{
	struct sigaction sa;

	leaves[0] = (uintptr_t)memcpy;
	leaves[1] = (uintptr_t)memmove;
	leaves[2] = (uintptr_t)memset;
	leaves[3] = (uintptr_t)memchr;
	leaves[4] = (uintptr_t)memcmp;
	memset(&sa, 0, sizeof sa);
	sa.sa_sigaction = on_signal;
	sa.sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART;
	sigemptyset(&sa.sa_mask);
	must(sigaction(WATCHDOG_SIGNAL, &sa, NULL) == 0);
}
