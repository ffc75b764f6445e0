/* http_text.h - what may stand in the head of a message of HTTP, and what it means.
 *
 * Thread: any.
 */
#ifndef BASE_HTTP_TEXT_H
#define BASE_HTTP_TEXT_H

#include "base/str.h"

bool http_is_token(str s);    /* methods and names of fields: RFC 9110 section 5.6.2 */
bool http_is_one_line(str s); /* nothing that ends a line: CR, LF, NUL */

str http_reason(int status); /* RFC 9110 section 15; empty: not a known one */

/* How long an answer may be used again, in seconds from its arrival: its Cache-Control and Age
 * (RFC 9111 section 5), and how much longer if there is no newer one to be had (RFC 5861). */
struct http_freshness {
	uint64_t fresh_s;
	uint64_t stale_if_error_s;
};
struct http_freshness http_freshness(str cache_control, str age);

#endif
