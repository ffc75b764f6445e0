/* webapi_test.c - the globals of the prelude, by tables of cases in JavaScript (js/test/webapi.js).
 *
 * Each export of the bundle is a query that returns what was not as expected.
 */
#include "webapi.h"

/* 04 checklist 30: an AsyncLocalStorage's value survives await, then, microtasks and the host's
 * promises; what module evaluation entered is current in the function. */
TEST(async_context_follows_promises)
{
	check_tables(BUNDLE, (const char *const[]){ "asyncContext", "enteredAtImport", NULL });
}

/* Spec 04 section 3.5: the classes of the Web API inventory. */
TEST(streams_and_blobs)
{
	check_tables(BUNDLE, (const char *const[]){ "streams", "blobs", "texts", NULL });
}

TEST(requests_and_responses)
{
	check_tables(BUNDLE,
	    (const char *const[]){ "headers", "forms", "requests", "responses", NULL });
}

TEST(events_and_aborting)
{
	check_tables(BUNDLE, (const char *const[]){ "events", "aborts", NULL });
}

TEST(urls)
{
	check_tables(BUNDLE, (const char *const[]){ "urls", NULL });
}

/* 04 checklist 26: the absent globals are absent, the others are as the web defines them. */
TEST(everything_else)
{
	check_tables(BUNDLE, (const char *const[]){ "misc", NULL });
}

/* Spec 04 section 14.3: the prelude does not depend on globals that users overwrite. */
TEST(overwritten_globals_do_no_harm)
{
	check_tables(BUNDLE, (const char *const[]){ "robust", NULL });
}

/* A listener that throws does not keep the others from running, and fails the run: as an error that
 * nobody handled.  Prelude functions are no frames of an error. */
TEST(errors_of_listeners_and_of_the_prelude)
{
	struct world w;

	world_open(&w);
	world_push(&w, "m.js",
	    HELPERS
	    "const t = new EventTarget(); let n = 0;\n"
	    "t.addEventListener('x', () => { throw new RangeError('listener') });\n"
	    "t.addEventListener('x', () => n++);\n"
	    "export const thrown = query(async () => {"
	    "  t.dispatchEvent(new Event('x')); return n });\n"
	    "export const caught = query(async () => {"
	    "  try { new Response('', { status: 1 }) }"
	    "  catch (e) { return /prelude|setup.js/.test(e.stack) } });\n"
	    "export const mode = query(async () => {"
	    "  try { new Request('http://a').mode } catch {} });\n"
	    "export const string = query(async () => { try { setTimeout('x', 1) } catch {} });\n"
	    "export const syscall = query(async () => {"
	    "  try { Convex.jsSyscall('x', {}) } catch {} });\n");
	EXPECT(&w, "thrown", "! Uncaught RangeError: listener");
	EXPECT(&w, "caught", "false");
	EXPECT(&w, "mode",
	    "! Not implemented: get mode for Request. Consider calling an action defined in "
	    "Node.js instead (https://docs.convex.dev/functions/actions).");
	EXPECT(&w, "string", "! setTimeout with a string handler is not supported");
	EXPECT(&w, "syscall", "! Unknown JS syscall: x");
	world_close(&w);
}

TEST_RUN(T(errors_of_listeners_and_of_the_prelude), T(async_context_follows_promises),
    T(streams_and_blobs), T(requests_and_responses), T(events_and_aborting), T(urls),
    T(everything_else), T(overwritten_globals_do_no_harm))
