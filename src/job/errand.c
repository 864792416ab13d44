/*
 * src/job/errand.c
 *	  An errand as bytes, for another process.
 *
 * Process: sessions and coordinators. Locks: only for catalog reads, to convert texts.
 */
#include "postgres.h"

#include "job/clip.h"
#include "job/encoding.h"
#include "job/errand.h"
#include "libpq/pqformat.h"

void
kwj_errand_put(StringInfo buffer, const KwjErrand *errand)
{
	int			length = errand->reason ? strlen(errand->reason) : -1;

	pq_sendint64(buffer, errand->number);
	pq_sendint64(buffer, errand->job_id);
	pq_sendint32(buffer, errand->verb);
	pq_sendint32(buffer, errand->many);
	pq_sendint32(buffer, errand->role);
	pq_sendint32(buffer, errand->session);
	pq_sendint32(buffer, length);
	if (length > 0)
		pq_sendbytes(buffer, errand->reason, length);
}

void
kwj_errand_take(StringInfo buffer, KwjErrand *errand)
{
	uint32		verb;
	int			length;

	errand->number = pq_getmsgint64(buffer);
	errand->job_id = pq_getmsgint64(buffer);
	verb = pq_getmsgint(buffer, 4);
	errand->many = pq_getmsgint(buffer, 4) != 0;
	errand->role = pq_getmsgint(buffer, 4);
	errand->session = pq_getmsgint(buffer, 4);
	length = (int) pq_getmsgint(buffer, 4);
	if (verb > KWJ_VERB_COUNT || length < -1)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION), errmsg("broken errand of another database")));
	errand->verb = (KwjVerb) verb;
	errand->reason = length < 0 ? NULL : pnstrdup(pq_getmsgbytes(buffer, length), length);
}

void
kwj_errand_refuse(KwjErrandResult *result, const ErrorData *edata)
{
	result->outcome = KWJ_ERRAND_REFUSED;
	result->error_code = edata->sqlerrcode;
	kwj_copy_clipped(result->message, sizeof(result->message), edata->message);
	kwj_copy_clipped(result->detail, sizeof(result->detail), edata->detail);
	kwj_copy_clipped(result->hint, sizeof(result->hint), edata->hint);
}

static void
convert(char *text, size_t size, int encoding)
{
	char	   *converted;

	text[size - 1] = '\0';
	converted = kwj_text_from_encoding(text, encoding);
	kwj_copy_clipped(text, size, converted);
	pfree(converted);
}

void
kwj_errand_result_from_encoding(KwjErrandResult *result, int encoding)
{
	convert(result->message, sizeof(result->message), encoding);
	convert(result->detail, sizeof(result->detail), encoding);
	convert(result->hint, sizeof(result->hint), encoding);
}
