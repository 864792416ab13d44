/*
 * src/type/source/large_object.c
 *	  A large object of the database as the source of an IMPORT: lo:OID.
 *
 * A client that has no file on the server brings its data with \lo_import of psql, or lo_creat and
 * lo_write of libpq. So an IMPORT from a large object needs no right on files of the server, but SELECT
 * on the large object.
 *
 * Each read is one of PostgreSQL's lo_get(), with a snapshot of its own, in whatever transaction the
 * caller has. So nothing is open between two reads, and rights are checked again and again.
 *
 * A large object has no time of its last change. What tells whether it is the same one is its pages in
 * pg_largeobject: a page that is written gets another xmin, also if the object is removed and made
 * anew.
 *
 *     size     by the last page
 *     mtime    xmin of the last page: tells cheaply that an object was made anew
 *     inode    a hash of the number and xmin of each page, for which all pages are looked at: when the
 *              source is opened, and when it was read to its end. What is changed in between fails the
 *              job then, and what it has imported is removed.
 *
 * Callers: source.c. Process: session, worker; in a transaction. Locks: AccessShareLock and
 * RowExclusiveLock on pg_largeobject, until the end of the transaction.
 */
#include "postgres.h"

#include <limits.h>

#include "access/detoast.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_largeobject.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/large_object.h"
#include "type/source/kind.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#define PREFIX	"lo:"

typedef struct LargeObject
{
	Oid			oid;
	bool		opened;			/* it was there when the source was opened */
} LargeObject;

static bool
is_location(const char *location)
{
	return strncmp(location, PREFIX, strlen(PREFIX)) == 0;
}

/* Returns the OID in the location. */
static Oid
oid_of(const char *location)
{
	const char *digits = location + strlen(PREFIX);
	unsigned long long oid = 0;

	if (strlen(digits) <= 10 && strspn(digits, "0123456789") == strlen(digits))
		oid = strtoull(digits, NULL, 10);
	if (oid == 0 || oid > OID_MAX)
		ereport(ERROR,
				errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				errmsg("\"%s\" does not name a large object", location),
				errhint("Type lo: and its OID, as \\lo_import of psql shows it, for instance 'lo:16411'."));
	return (Oid) oid;
}

/* Checks that the large object is there, and that the current user may read it. */
static void
check_object(const KwjSource *source)
{
	const LargeObject *object = source->place;

	if (!LargeObjectExists(object->oid))
		ereport(ERROR,
				errcode(object->opened ? ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE : ERRCODE_UNDEFINED_OBJECT),
				object->opened ?
				errmsg("large object %u was removed while it was being imported", object->oid) :
				errmsg("large object %u does not exist", object->oid),
				errhint("Bring the data into this database with \\lo_import of psql, and type lo: and the OID that it shows."));
	if (!lo_compat_privileges &&
		pg_largeobject_aclcheck_snapshot(object->oid, GetUserId(), ACL_SELECT, GetActiveSnapshot()) != ACLCHECK_OK)
		ereport(ERROR,
				errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				errmsg("permission denied for large object %u", object->oid),
				errhint("Ask its owner for: GRANT SELECT ON LARGE OBJECT %u TO %s", object->oid,
						quote_identifier(GetUserNameFromId(GetUserId(), false))));
}

/* Returns how many bytes are in a page. */
static int64
bytes_of(Relation rel, HeapTuple page)
{
	bool		isnull;
	Datum		data = heap_getattr(page, Anum_pg_largeobject_data, RelationGetDescr(rel), &isnull);

	return isnull ? 0 : toast_raw_datum_size(data) - VARHDRSZ;
}

/*
 * Looks at the pages from the last one on, and sets size and mtime; if thoroughly, looks at all of them
 * and sets inode.
 */
static void
look_at_pages(KwjSource *source, bool thoroughly)
{
	const LargeObject *object = source->place;
	KwjSourceIdentity *identity = &source->identity;
	Relation	rel = table_open(LargeObjectRelationId, AccessShareLock);
	Relation	index = index_open(LargeObjectLOidPNIndexId, AccessShareLock);
	uint64		hash = 0;
	bool		is_last = true;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	page;

	identity->size = identity->mtime = 0;
	ScanKeyInit(&key, Anum_pg_largeobject_loid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(object->oid));
	scan = systable_beginscan_ordered(rel, index, GetActiveSnapshot(), 1, &key);
	while ((page = systable_getnext_ordered(scan, BackwardScanDirection)) != NULL)
	{
		int32		number = ((Form_pg_largeobject) GETSTRUCT(page))->pageno;
		TransactionId xmin = HeapTupleHeaderGetRawXmin(page->t_data);

		CHECK_FOR_INTERRUPTS();
		if (is_last)
		{
			identity->size = (int64) number * LOBLKSIZE + bytes_of(rel, page);
			identity->mtime = xmin;
		}
		is_last = false;
		if (!thoroughly)
			break;
		hash = hash_combine64(hash, hash_bytes_uint32_extended((uint32) number, xmin));
	}
	systable_endscan_ordered(scan);
	index_close(index, NoLock);
	table_close(rel, NoLock);
	if (thoroughly)
		identity->inode = (int64) hash;
}

static void
look(KwjSource *source, bool thoroughly)
{
	Assert(IsTransactionState());
	PushActiveSnapshot(GetTransactionSnapshot());
	check_object(source);
	look_at_pages(source, thoroughly);
	PopActiveSnapshot();
}

static void
open_object(KwjSource *source)
{
	LargeObject *object = palloc0(sizeof(LargeObject));

	object->oid = oid_of(source->location);
	source->place = object;
	look(source, false);
	object->opened = true;
}

/* What was changed since the last look without another last page is found out at the end. */
static void
open_again(KwjSource *source)
{
	look(source, false);
}

static size_t
read_object(KwjSource *source, char *buffer, size_t size, int64 offset)
{
	const LargeObject *object = source->place;
	bytea	   *bytes;
	size_t		n;

	if (offset >= source->identity.size)
		return 0;
	size = Min((int64) size, source->identity.size - offset);
	PushActiveSnapshot(GetTransactionSnapshot());
	check_object(source);
	bytes = DatumGetByteaPP(DirectFunctionCall3(be_lo_get_fragment, ObjectIdGetDatum(object->oid),
												Int64GetDatum(offset), Int32GetDatum((int32) size)));
	PopActiveSnapshot();
	n = VARSIZE_ANY_EXHDR(bytes);
	memcpy(buffer, VARDATA_ANY(bytes), n);
	pfree(bytes);
	if (n == 0)
		ereport(ERROR,
				errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				errmsg("large object %u was truncated while it was being imported", object->oid),
				errhint("Import it again; what this job had imported is removed."));
	return n;
}

const KwjSourceKind kwj_source_large_object = {
	.is_location = is_location,
	.open = open_object,
	.open_again = open_again,
	.look = look,
	.read = read_object,
	.mtime_name = "last page",
	.inode_name = "content",
	.needs_no_role = true,
	.one_reader = "large object",
};
