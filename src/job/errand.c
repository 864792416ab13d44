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

static const char *const deed_names[KWJ_DEED_COUNT] = {
	[KWJ_DEED_PAUSE] = "PAUSE",
	[KWJ_DEED_RESUME] = "RESUME",
	[KWJ_DEED_CANCEL] = "CANCEL",
	[KWJ_DEED_RETRY] = "RETRY",
	[KWJ_DEED_LOOK] = "LOOK",
	[KWJ_DEED_RUN_NOW] = "RUN_NOW",
	[KWJ_DEED_ALTER] = "ALTER",
	[KWJ_DEED_CLOSE] = "CLOSE",
	[KWJ_DEED_DELETE] = "DELETE",
};

const char *
kwj_deed_name(KwjDeed deed)
{
	return deed_names[deed];
}

bool
kwj_deed_from_name(const char *name, KwjDeed *deed)
{
	for (int i = 0; i < KWJ_DEED_COUNT; i++)
		if (pg_strcasecmp(name, deed_names[i]) == 0)
		{
			*deed = (KwjDeed) i;
			return true;
		}
	return false;
}

char *
kwj_deed_text(KwjDeed deed, int64 job_id)
{
	char	   *function;

	if (kwj_is_verb(deed))
		return psprintf("%s JOB " INT64_FORMAT, deed_names[deed], job_id);
	function = pstrdup(deed_names[deed]);
	for (char *c = function; *c != '\0'; c++)
		*c = pg_tolower((unsigned char) *c);
	return psprintf("kwjobs.%s(" INT64_FORMAT ")", function, job_id);
}

static void
put_text(StringInfo buffer, const char *text)
{
	int			length = text ? strlen(text) : -1;

	pq_sendint32(buffer, length);
	if (length > 0)
		pq_sendbytes(buffer, text, length);
}

static void
refuse_broken(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROTOCOL_VIOLATION), errmsg("broken errand of another database")));
}

/* Returns the next text, palloc'd; NULL for one that is not there. */
static char *
take_text(StringInfo buffer)
{
	int			length = (int) pq_getmsgint(buffer, 4);

	if (length < -1)
		refuse_broken();
	return length < 0 ? NULL : pnstrdup(pq_getmsgbytes(buffer, length), length);
}

void
kwj_errand_put(StringInfo buffer, const KwjErrand *errand)
{
	pq_sendint64(buffer, errand->number);
	pq_sendint64(buffer, errand->job_id);
	pq_sendint32(buffer, errand->deed);
	pq_sendint32(buffer, errand->many);
	pq_sendint32(buffer, errand->all);
	pq_sendint32(buffer, errand->role);
	pq_sendint32(buffer, errand->session);
	put_text(buffer, errand->reason);
	put_text(buffer, errand->change);
}

void
kwj_errand_take(StringInfo buffer, KwjErrand *errand)
{
	uint32		deed;

	errand->number = pq_getmsgint64(buffer);
	errand->job_id = pq_getmsgint64(buffer);
	deed = pq_getmsgint(buffer, 4);
	if (deed >= KWJ_DEED_COUNT)
		refuse_broken();
	errand->deed = (KwjDeed) deed;
	errand->many = pq_getmsgint(buffer, 4) != 0;
	errand->all = pq_getmsgint(buffer, 4) != 0;
	errand->role = pq_getmsgint(buffer, 4);
	errand->session = pq_getmsgint(buffer, 4);
	errand->reason = take_text(buffer);
	errand->change = take_text(buffer);
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
