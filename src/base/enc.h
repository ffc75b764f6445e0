/* enc.h - text forms of bytes: hex, base64, base64url, base32.
 *
 * base32 is the alphabet of document ids (spec 03 section 2.1):
 * 0123456789abcdefghjkmnpqrstvwxyz, most significant bits first, no padding.
 * Decoders are strict: wrong alphabet, wrong padding or stray bits fail.
 *
 * Thread: any.
 */
#ifndef BASE_ENC_H
#define BASE_ENC_H

#include "base/buf.h"
#include "base/str.h"

void enc_hex(struct buf *out, str bytes);       /* lower case */
void enc_base64(struct buf *out, str bytes);    /* standard alphabet, '=' padding */
void enc_base64url(struct buf *out, str bytes); /* no padding */
void enc_base32(struct buf *out, str bytes);

/* Append the decoded bytes; false (nothing appended) if the text is not valid. */
NODISCARD bool dec_hex(struct buf *out, str text); /* either case */
NODISCARD bool dec_base64(struct buf *out, str text);
NODISCARD bool dec_base64url(struct buf *out, str text);
/* Lax about the value of pad bits: id.h compares with the canonical form. */
NODISCARD bool dec_base32(struct buf *out, str text);

/* Timestamps and int64 on the wire: base64 of 8 little-endian bytes, 12 characters. */
void           enc_u64_base64(struct buf *out, uint64_t v);
NODISCARD bool dec_u64_base64(str text, uint64_t *ret);

#endif
