/* store_commitlog_fuzz.c - any bytes as a record of the commit log.
 *
 * The head is decoded as it is; the bytes behind its first 64 also as a payload of their own,
 * past the checksums, which no fuzzer gets through.  What decodes is read to the end, and a
 * memtable takes it or refuses it.
 */
#include "store/commitlog.h"
#include "store/logrecord.h"
#include "store/memtable.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_payload(str payload)
{
	struct logrecord_reader r;
	struct logrecord_row    row;
	enum logrecord_kind     kind = LOGRECORD_END;
	struct memtable        *t = memtable_new();
	uint64_t                number = 0;
	size_t                  bytes = 0;

	logrecord_reader_init(&r, payload);
	while (logrecord_next(&r, &kind, &row) == ST_OK && kind != LOGRECORD_END) {
		must(row.key.n + row.json.n <= payload.n);
		for (size_t i = 0; i < row.key.n; i++)
			bytes += (uint8_t)row.key.p[i];
		for (size_t i = 0; i < row.json.n; i++)
			bytes += (uint8_t)row.json.p[i];
	}
	must(bytes <= payload.n * 255);
	logrecord_reader_clear(&r);
	if (memtable_add(t, 1, payload, &number) == ST_OK)
		must(number >= 1);
	memtable_unref(t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	str                     all = str_of(data, size);
	struct commitlog_record rec;
	struct head_sums        sums;

	if (commitlog_decode(all, &rec, &sums) == ST_OK)
		read_payload(rec.payload);
	if (size >= COMMITLOG_HEAD)
		read_payload(str_from(all, COMMITLOG_HEAD));
	return 0;
}
