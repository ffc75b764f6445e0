/* http_text.h - what may stand in the head of a message of HTTP.
 *
 * Thread: any.
 */
#ifndef BASE_HTTP_TEXT_H
#define BASE_HTTP_TEXT_H

#include "base/str.h"

bool http_is_token(str s);    /* methods and names of fields: RFC 9110 section 5.6.2 */
bool http_is_one_line(str s); /* nothing that ends a line: CR, LF, NUL */

#endif
