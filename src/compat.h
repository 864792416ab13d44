/*
 * src/compat.h
 *	  What differs between the PostgreSQL versions that kwjobs compiles on.
 *
 * No other file tests PG_VERSION_NUM. A file that uses one of these macros has to include the
 * headers of the names to which the macro expands.
 */
#ifndef KWJ_COMPAT_H
#define KWJ_COMPAT_H

#include "postgres.h"

#include "miscadmin.h"

/*
 * The permissions that a statement needs on a table are kept in the range table
 * entry (until 15) or beside it (since 16).
 */
#if PG_VERSION_NUM >= 160000
#define kwj_nsitem_permissions(nsitem)	((nsitem)->p_perminfo)
#define kwj_set_permissions(statement, pstate) \
	((statement)->permInfos = (pstate)->p_rteperminfos)
#else
#define kwj_nsitem_permissions(nsitem)	((nsitem)->p_rte)
#define kwj_set_permissions(statement, pstate)	((void) 0)
#endif

/* Whether COPY adds several pages to a table at once, also if no other process waits to do so: since 16. */
#define KWJ_COPY_ADDS_PAGES	(PG_VERSION_NUM >= 160000)

/* IsQueryIdEnabled moved in 16. */
#if PG_VERSION_NUM >= 160000
#include "nodes/queryjumble.h"
#else
#include "utils/queryjumble.h"
#endif

/* get_database_name moved in 19. */
#if PG_VERSION_NUM >= 190000
#include "utils/lsyscache.h"
#else
#include "commands/dbcommands.h"
#endif

/*
 * Calls PostgreSQL's handler of SIGTERM. Since 19 the handler is also told which process has sent
 * the signal. Here there is no such process.
 */
#if PG_VERSION_NUM >= 190000
#define kwj_die(signal)		die(signal, &(pg_signal_info) {0})
#else
#define kwj_die(signal)		die(signal)
#endif

/* What post_parse_analyze_hook gets; since 19 the hook may only read it. */
#if PG_VERSION_NUM >= 190000
#define KWJ_JUMBLE_STATE	const JumbleState
#else
#define KWJ_JUMBLE_STATE	JumbleState
#endif

/* Returns whether a statement is MERGE, which came with 15. */
#if PG_VERSION_NUM >= 150000
#define kwj_is_merge(node)	IsA(node, MergeStmt)
#else
#define kwj_is_merge(node)	false
#endif

/*
 * The wait event that pg_stat_activity shows while kwjobs waits. It has a name of its own since 17.
 */
#if PG_VERSION_NUM >= 170000
#include "utils/wait_event.h"
#define kwj_wait_event(name) \
	__extension__ ({ static uint32 event = 0; \
		event != 0 ? event : (event = WaitEventExtensionNew(name)); })
#else
#include "utils/wait_event.h"
#define kwj_wait_event(name)	PG_WAIT_EXTENSION
#endif

/*
 * Creates a WaitEventSet that belongs to no resource owner, so that it outlives a transaction.
 * Before 17 it is allocated in `context`, since then in TopMemoryContext.
 */
#if PG_VERSION_NUM >= 170000
#define kwj_create_wait_event_set(context, n)	CreateWaitEventSet(NULL, (n))
#else
#define kwj_create_wait_event_set(context, n)	CreateWaitEventSet((context), (n))
#endif

/*
 * Goes through the list of registered background workers, which is the postmaster's own. The list
 * is of another kind since 18.
 */
#if PG_VERSION_NUM >= 180000
#define KWJ_WORKER_ITERATOR	dlist_iter
#define kwj_foreach_worker(iter)	dlist_foreach(iter, &BackgroundWorkerList)
#define kwj_worker_of(iter)	dlist_container(RegisteredBgWorker, rw_lnode, (iter).cur)
#else
#define KWJ_WORKER_ITERATOR	slist_iter
#define kwj_foreach_worker(iter)	slist_foreach(iter, &BackgroundWorkerList)
#define kwj_worker_of(iter)	slist_container(RegisteredBgWorker, rw_lnode, (iter).cur)
#endif

/* The status of the n-th backend, from 1, in the local copy of pg_stat_activity; renamed in 16. */
#if PG_VERSION_NUM >= 160000
#define kwj_local_backend_status(n)	pgstat_get_local_beentry_by_index(n)
#else
#define kwj_local_backend_status(n)	pgstat_fetch_stat_local_beentry(n)
#endif

/*
 * Drops the temporary replication slots of this session. Since 17 there is an argument for dropping
 * only those that were synchronized from a primary.
 */
#if PG_VERSION_NUM >= 170000
#define kwj_replication_slot_cleanup()	ReplicationSlotCleanup(false)
#else
#define kwj_replication_slot_cleanup()	ReplicationSlotCleanup()
#endif

/* The local transaction id of this process, which can be assigned to; the field moved in 17. */
#if PG_VERSION_NUM >= 170000
#define kwj_local_transaction_id()	(MyProc->vxid.lxid)
#else
#define kwj_local_transaction_id()	(MyProc->lxid)
#endif

/* Returns whether this process holds the lock in this mode; LockHeldByMe changed in 17. */
#if PG_VERSION_NUM >= 170000
#define kwj_lock_held_by_me(tag, mode)	LockHeldByMe((tag), (mode), false)
#else
#define kwj_lock_held_by_me(tag, mode)	LockHeldByMe((tag), (mode))
#endif

/*
 * Makes a connected Unix socket the connection of this process to its client, MyProcPort. The caller
 * switches to TopMemoryContext. Since 17 PostgreSQL makes the Port. Before, a server that was built
 * with OpenSSL has some more fields at its end.
 */
#if PG_VERSION_NUM >= 170000
#define kwj_open_port(fd) \
	(MyProcPort = pq_init(&(ClientSocket) {.sock = (fd), .raddr.addr.ss_family = AF_UNIX, \
										   .raddr.salen = sizeof(sa_family_t)}))
#else
#define kwj_open_port(fd) \
	(MyProcPort = palloc0(sizeof(Port) + 8 * sizeof(void *)), \
	 MyProcPort->sock = (fd), \
	 MyProcPort->laddr.addr.ss_family = MyProcPort->raddr.addr.ss_family = AF_UNIX, \
	 MyProcPort->laddr.salen = MyProcPort->raddr.salen = sizeof(sa_family_t), \
	 pq_init())
#endif

/* Runs the event triggers for logins, which there are since 17. */
#if PG_VERSION_NUM >= 170000
#define kwj_login_event_trigger()	EventTriggerOnLogin()
#else
#define kwj_login_event_trigger()	((void) 0)
#endif

/* Returns why a checksum could not be computed; PostgreSQL tells since 15. */
#if PG_VERSION_NUM >= 150000
#define kwj_cryptohash_error(hash)	pg_cryptohash_error(hash)
#else
#define kwj_cryptohash_error(hash)	"out of memory"
#endif

/* stringToQualifiedNameList has a second argument since 16. */
#if PG_VERSION_NUM >= 160000
#define KWJ_NO_ESCONTEXT	, NULL
#else
#define KWJ_NO_ESCONTEXT
#endif

/* Whether pg_dump has other compressions than gzip, which it has since 16. */
#if PG_VERSION_NUM >= 160000
#define KWJ_HAS_DUMP_METHODS	true
#else
#define KWJ_HAS_DUMP_METHODS	false
#endif

/*
 * Sends a message into a queue in shared memory, and wakes the receiver at once. PostgreSQL asks for that by an
 * argument since 15.
 */
#if PG_VERSION_NUM >= 150000
#define kwj_shm_mq_send(queue, size, data, nowait) \
	shm_mq_send(queue, size, data, nowait, true)
#else
#define kwj_shm_mq_send(queue, size, data, nowait) \
	shm_mq_send(queue, size, data, nowait)
#endif

/* A random number from 0 to 1. */
#if PG_VERSION_NUM >= 150000
#include "common/pg_prng.h"
#define kwj_random_fraction()	pg_prng_double(&pg_global_prng_state)
#else
#define kwj_random_fraction()	((double) random() / MAX_RANDOM_VALUE)
#endif

/* Has `hook` ask for shared memory. PostgreSQL calls it since 15; before, _PG_init does so here. */
#if PG_VERSION_NUM >= 150000
typedef shmem_request_hook_type KwjShmemRequestHook;
#define kwj_chain_shmem_request(previous, hook) \
	((previous) = shmem_request_hook, shmem_request_hook = (hook))
#else
typedef void (*KwjShmemRequestHook) (void);
#define kwj_chain_shmem_request(previous, hook) \
	((previous) = NULL, (hook) ())
#endif

/*
 * These return whether the current role owns the object. Since 16, PostgreSQL has one function for all kinds of
 * objects.
 */
#if PG_VERSION_NUM >= 160000
#define kwj_owns_database(oid) \
	object_ownercheck(DatabaseRelationId, (oid), GetUserId())
#define kwj_owns_extension(oid) \
	object_ownercheck(ExtensionRelationId, (oid), GetUserId())
#define kwj_owns_relation(oid) \
	object_ownercheck(RelationRelationId, (oid), GetUserId())
#define kwj_owns_schema(oid) \
	object_ownercheck(NamespaceRelationId, (oid), GetUserId())
#else
#define kwj_owns_database(oid)	pg_database_ownercheck((oid), GetUserId())
#define kwj_owns_extension(oid)	pg_extension_ownercheck((oid), GetUserId())
#define kwj_owns_relation(oid)	pg_class_ownercheck((oid), GetUserId())
#define kwj_owns_schema(oid)	pg_namespace_ownercheck((oid), GetUserId())
#endif

/*
 * Returns whether the current role may REINDEX or ANALYZE a table. Before 17 that takes ownership,
 * since then the privilege MAINTAIN, which the owner has by default.
 */
#if PG_VERSION_NUM >= 170000
#define KWJ_HAS_MAINTAIN	true
#define kwj_may_maintain(table) \
	(pg_class_aclcheck((table), GetUserId(), ACL_MAINTAIN) == ACLCHECK_OK)
#else
#define KWJ_HAS_MAINTAIN	false
#define kwj_may_maintain(table)	kwj_owns_relation(table)
#endif

/*
 * Returns whether the current role has USAGE on a schema, which it needs to name an object there,
 * or CREATE, which it needs to create one.
 */
#if PG_VERSION_NUM >= 160000
#define kwj_has_on_schema(oid, right) \
	(object_aclcheck(NamespaceRelationId, (oid), GetUserId(), (right)) == ACLCHECK_OK)
#else
#define kwj_has_on_schema(oid, right) \
	(pg_namespace_aclcheck((oid), GetUserId(), (right)) == ACLCHECK_OK)
#endif
#define kwj_may_use_schema(oid)			kwj_has_on_schema((oid), ACL_USAGE)
#define kwj_may_create_in_schema(oid)	kwj_has_on_schema((oid), ACL_CREATE)

/* Returns whether a column is computed whenever it is read; there are such columns since 18. */
#if PG_VERSION_NUM >= 180000
#define kwj_is_virtual(att)		((att)->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
#else
#define kwj_is_virtual(att)		false
#endif

/* Checks a role's right on a database. Since 16, PostgreSQL has one function for all kinds of objects. */
#if PG_VERSION_NUM >= 160000
#define kwj_database_aclcheck(oid, role, mode) \
	object_aclcheck(DatabaseRelationId, (oid), (role), (mode))
#else
#define kwj_database_aclcheck(oid, role, mode)	pg_database_aclcheck((oid), (role), (mode))
#endif

/*
 * Warns of settings with this prefix that were set but do not exist. Since 15 PostgreSQL also
 * refuses to set such a setting afterwards.
 */
#if PG_VERSION_NUM >= 150000
#define kwj_reserve_guc_prefix(prefix)	MarkGUCPrefixReserved(prefix)
#else
#define kwj_reserve_guc_prefix(prefix)	EmitWarningsOnPlaceholders(prefix)
#endif

/*
 * Allocates what a setting's check hook returns in *extra; NULL if there is no memory. Since 16 it
 * comes from a memory context of PostgreSQL, before from malloc().
 */
#if PG_VERSION_NUM >= 160000
#define kwj_guc_malloc(size)	guc_malloc(LOG, (size))
#else
#define kwj_guc_malloc(size)	malloc(size)
#endif

/*
 * Returns the setting with this name, or NULL if there is none. PostgreSQL has a function since 16.
 */
#if PG_VERSION_NUM >= 160000
#define kwj_find_setting(wanted)	find_option((wanted), false, true, ERROR)
#else
#define kwj_find_setting(wanted) \
	__extension__ ({ struct config_generic *found = NULL; \
		for (int n = 0; n < GetNumConfigOptions() && !found; n++) \
			if (pg_strcasecmp(get_guc_variables()[n]->name, (wanted)) == 0) \
				found = get_guc_variables()[n]; \
		found; })
#endif

/*
 * The level of log_min_messages for this process, which can be assigned to. Since 19 each kind of
 * process has a level of its own.
 */
#if PG_VERSION_NUM >= 190000
#define kwj_log_level	(log_min_messages[MyBackendType])
#else
#define kwj_log_level	log_min_messages
#endif

/*
 * The setting log_min_messages, for type/sql/messages.c, which has to know when a statement sets
 * it. Since 19 the setting is a text, and its assign hook sets the levels of all kinds of
 * processes. Before, it is the level itself, and has no assign hook.
 *
 * kwj_log_level_setting()   returns the setting
 * kwj_bind_log_level()      makes PostgreSQL keep the setting's value in another variable than
 *                           log_min_messages; it keeps no text there, so this does nothing since 19
 * KWJ_LOG_LEVEL_PARAMETERS  the parameters of an assign hook of this setting
 * kwj_assigned_log_level()  in such a hook: the new level
 * kwj_log_level_hook        PostgreSQL's own assign hook of this setting
 */
#if PG_VERSION_NUM >= 190000
#include "utils/guc_hooks.h"
typedef struct config_string KwjLogLevelSetting;
#define kwj_log_level_setting() \
	(&kwj_find_setting("log_min_messages")->_string)
#define kwj_bind_log_level(setting, level)	((void) 0)
#define KWJ_LOG_LEVEL_PARAMETERS	const char *newval, void *extra
#define kwj_assigned_log_level() \
	(assign_log_min_messages(newval, extra), kwj_log_level)
#define kwj_log_level_hook	assign_log_min_messages
#else
typedef struct config_enum KwjLogLevelSetting;
#define kwj_log_level_setting() \
	((struct config_enum *) kwj_find_setting("log_min_messages"))
#define kwj_bind_log_level(setting, level)	((setting)->variable = (level))
#define KWJ_LOG_LEVEL_PARAMETERS	int newval, void *extra
#define kwj_assigned_log_level()	(newval)
#define kwj_log_level_hook	NULL
#endif

/* Returns an array of all settings, and their number in *n. It is a copy since 16. */
#if PG_VERSION_NUM >= 160000
#define kwj_all_settings(n)	get_guc_variables(n)
#else
#define kwj_all_settings(n)	(*(n) = GetNumConfigOptions(), get_guc_variables())
#endif

/* The timeline to which this server writes WAL. Before 15 each process has it in a variable. */
#if PG_VERSION_NUM >= 150000
#define kwj_current_timeline()	GetWALInsertionTimeLine()
#else
#define kwj_current_timeline()	ThisTimeLineID
#endif

/* Whether COPY takes a line of just \. for the end of CSV data; it does not since 18. */
#define kwj_copy_has_end_marker	(PG_VERSION_NUM < 180000)

/* Set and read the value of a constant in the raw parse tree, which has another layout since 15. */
#if PG_VERSION_NUM >= 150000
#define kwj_set_string_constant(constant, string) \
	((constant)->val.sval.type = T_String, (constant)->val.sval.sval = (string))
#define kwj_set_integer_constant(constant, integer) \
	((constant)->val.ival.type = T_Integer, (constant)->val.ival.ival = (integer))
#define kwj_set_null_constant(constant)	((constant)->isnull = true)
#define kwj_is_null_constant(constant)	((constant)->isnull)
#define kwj_is_string_constant(constant) \
	(!(constant)->isnull && IsA(&(constant)->val, String))
#define kwj_string_of_constant(constant)	((constant)->val.sval.sval)
#else
#define kwj_set_string_constant(constant, string) \
	((constant)->val.type = T_String, (constant)->val.val.str = (string))
#define kwj_set_integer_constant(constant, integer) \
	((constant)->val.type = T_Integer, (constant)->val.val.ival = (integer))
#define kwj_set_null_constant(constant)	((constant)->val.type = T_Null)
#define kwj_is_null_constant(constant)	((constant)->val.type == T_Null)
#define kwj_is_string_constant(constant)	((constant)->val.type == T_String)
#define kwj_string_of_constant(constant)	((constant)->val.val.str)
#endif

/* The table that a MERGE changes; NULL for other statements. There is no MERGE before 15. */
#if PG_VERSION_NUM >= 150000
#define kwj_merge_target(node) \
	(IsA(node, MergeStmt) ? ((MergeStmt *) (node))->relation : NULL)
#else
#define kwj_merge_target(node)	((RangeVar *) NULL)
#endif

/* Runs a query to its end. Before 18 an argument says that it is run only once. */
#if PG_VERSION_NUM >= 180000
#define kwj_executor_run(query)	ExecutorRun(query, ForwardScanDirection, 0)
#else
#define kwj_executor_run(query)	ExecutorRun(query, ForwardScanDirection, 0, true)
#endif

/* Runs a portal to its end. Before 18 an argument says that it is run only once. */
#if PG_VERSION_NUM >= 180000
#define kwj_portal_run(portal, receiver, completion) \
	PortalRun(portal, FETCH_ALL, true, receiver, receiver, completion)
#else
#define kwj_portal_run(portal, receiver, completion) \
	PortalRun(portal, FETCH_ALL, true, true, receiver, receiver, completion)
#endif

/*
 * Returns whether `member` may SET ROLE to `role`. Since 16 a membership may come without that
 * right.
 */
#if PG_VERSION_NUM >= 160000
#define kwj_can_set_role(member, role)	member_can_set_role(member, role)
#else
#define kwj_can_set_role(member, role)	is_member_of_role(member, role)
#endif

/*
 * Analyses and rewrites a statement without parameters, or with those that set_up(pstate, arg) lets
 * the analysis find. kwj_set_up_variable_parameters() has it infer their types. These functions
 * were renamed in 15.
 */
#if PG_VERSION_NUM >= 150000
#define kwj_analyze_and_rewrite(raw, text) \
	pg_analyze_and_rewrite_fixedparams(raw, text, NULL, 0, NULL)
#define kwj_analyze_and_rewrite_with(raw, text, set_up, arg) \
	pg_analyze_and_rewrite_withcb(raw, text, set_up, arg, NULL)
#define kwj_set_up_variable_parameters(pstate, types, n) \
	setup_parse_variable_parameters(pstate, types, n)
#else
#define kwj_analyze_and_rewrite(raw, text) \
	pg_analyze_and_rewrite(raw, text, NULL, 0, NULL)
#define kwj_analyze_and_rewrite_with(raw, text, set_up, arg) \
	pg_analyze_and_rewrite_params(raw, text, set_up, arg, NULL)
#define kwj_set_up_variable_parameters(pstate, types, n) \
	parse_variable_parameters(pstate, types, n)
#endif

/* Plans a query. Since 19 there is one more argument, which only EXPLAIN needs. */
#if PG_VERSION_NUM >= 190000
#define kwj_plan_query(query, text, options) \
	pg_plan_query(query, text, options, NULL, NULL)
#else
#define kwj_plan_query(query, text, options) \
	pg_plan_query(query, text, options, NULL)
#endif

/* The range table index of the only table that a plan changes; 0 if it changes none or several. */
#if PG_VERSION_NUM >= 190000
#define kwj_only_target(plan) \
	__extension__ ({ int only; \
		bms_get_singleton_member((plan)->resultRelationRelids, &only) ? only : 0; })
#else
#define kwj_only_target(plan) \
	(list_length((plan)->resultRelations) == 1 ? linitial_int((plan)->resultRelations) : 0)
#endif

/*
 * What extensions such as pg_stat_statements measure of a query. Before 19 an extension allocates
 * it after ExecutorStart; since then ExecutorStart does so if an extension has asked for it.
 */
#if PG_VERSION_NUM >= 190000
#define kwj_instrumentation(query)	((query)->query_instr)
#else
#define kwj_instrumentation(query)	((query)->totaltime)
#endif

/* Ends the making of a TupleDesc. There was nothing to do before 19. */
#if PG_VERSION_NUM >= 190000
#define kwj_finish_row_type(desc)	TupleDescFinalize(desc)
#else
#define kwj_finish_row_type(desc)	((void) 0)
#endif

/* Keeps the scanner from warning of backslashes in strings. It has no such warning since 19. */
#if PG_VERSION_NUM >= 190000
#define kwj_forgo_escape_warning(scanner)	((void) 0)
#else
#define kwj_forgo_escape_warning(scanner)	((scanner)->escape_string_warning = false)
#endif

/* Returns whether this session has a replication origin. */
#if PG_VERSION_NUM >= 190000
#define kwj_has_replication_origin() \
	(replorigin_xact_state.origin != InvalidReplOriginId)
#else
#define kwj_has_replication_origin() \
	(replorigin_session_origin != InvalidRepOriginId)
#endif

/*
 * CLUSTER, which is a form of REPACK since 19. kwj_cluster_needs_no_block() returns the statement's
 * name if PostgreSQL refuses to run it in a transaction block, and NULL otherwise. is_on: a
 * function that returns whether the option with that name is on in a list of options.
 */
#if PG_VERSION_NUM >= 190000
#define KWJ_CLUSTER	T_RepackStmt
#define kwj_cluster_needs_no_block(node, is_on) \
	(is_on(((const RepackStmt *) (node))->params, "concurrently") ? \
	 "REPACK (CONCURRENTLY)" : \
	 ((const RepackStmt *) (node))->relation != NULL ? NULL : \
	 ((const RepackStmt *) (node))->command == REPACK_COMMAND_CLUSTER ? "CLUSTER" : "REPACK")
#else
#define KWJ_CLUSTER	T_ClusterStmt
#define kwj_cluster_needs_no_block(node, is_on) \
	(((const ClusterStmt *) (node))->relation == NULL ? "CLUSTER" : NULL)
#endif

/* The table that CLUSTER is about; NULL: all tables. */
#if PG_VERSION_NUM >= 190000
#define kwj_cluster_relation(node) \
	(((const RepackStmt *) (node))->relation != NULL ? \
	 ((const RepackStmt *) (node))->relation->relation : NULL)
#else
#define kwj_cluster_relation(node)	(((const ClusterStmt *) (node))->relation)
#endif

/*
 * Initializers of an array whose index is a node tag, for the statements that PostgreSQL has got
 * after 14: ALTER DATABASE ... REFRESH COLLATION VERSION, CREATE and ALTER PROPERTY GRAPH.
 */
#if PG_VERSION_NUM >= 190000
#define KWJ_NEWER_STATEMENTS(row) \
	[T_AlterDatabaseRefreshCollStmt] = row, \
	[T_CreatePropGraphStmt] = row, \
	[T_AlterPropGraphStmt] = row,
#elif PG_VERSION_NUM >= 150000
#define KWJ_NEWER_STATEMENTS(row) \
	[T_AlterDatabaseRefreshCollStmt] = row,
#else
#define KWJ_NEWER_STATEMENTS(row)
#endif

/* ALTER SUBSCRIPTION ... REFRESH PUBLICATION; renamed in 19, which refreshes sequences, too. */
#if PG_VERSION_NUM >= 190000
#define KWJ_REFRESH_PUBLICATION	ALTER_SUBSCRIPTION_REFRESH_PUBLICATION
#else
#define KWJ_REFRESH_PUBLICATION	ALTER_SUBSCRIPTION_REFRESH
#endif

/* PostgreSQL has this keyword since 18. */
#ifndef pg_noreturn
#define pg_noreturn __attribute__((noreturn))
#endif

/* Marks a function that does not return. */
#if PG_VERSION_NUM >= 180000
#define KWJ_NORETURN	pg_noreturn
#else
#define KWJ_NORETURN	pg_attribute_noreturn()
#endif

/*
 * Begins a scan of an index. There is an argument for counting scans since 18, for flags since 19.
 */
#if PG_VERSION_NUM >= 190000
#define kwj_index_beginscan(table, index, snapshot, n_keys) \
	index_beginscan(table, index, snapshot, NULL, n_keys, 0, SO_NONE)
#elif PG_VERSION_NUM >= 180000
#define kwj_index_beginscan(table, index, snapshot, n_keys) \
	index_beginscan(table, index, snapshot, NULL, n_keys, 0)
#else
#define kwj_index_beginscan(table, index, snapshot, n_keys) \
	index_beginscan(table, index, snapshot, n_keys, 0)
#endif

/* Begins to read a whole table. Since 19 PostgreSQL's function also takes flags. */
#if PG_VERSION_NUM >= 190000
#define kwj_table_beginscan(table, snapshot)	table_beginscan(table, snapshot, 0, NULL, SO_NONE)
#else
#define kwj_table_beginscan(table, snapshot)	table_beginscan(table, snapshot, 0, NULL)
#endif

/* Prepares EvalPlanQual, which has one argument more since 16. */
#if PG_VERSION_NUM >= 160000
#define kwj_eval_plan_qual_init(state, estate) \
	EvalPlanQualInit(state, estate, NULL, NIL, -1, NIL)
#else
#define kwj_eval_plan_qual_init(state, estate) \
	EvalPlanQualInit(state, estate, NULL, NIL, -1)
#endif

/*
 * KWJ_SPAN is what PostgreSQL's functions read the text of an interval into. Since 15 that is a
 * struct of its own, as years, months, days and microseconds.
 */
#if PG_VERSION_NUM >= 150000
#define KWJ_SPAN	struct pg_itm_in
#define kwj_decode_interval(field, ftype, nf, dtype, span) \
	DecodeInterval(field, ftype, nf, INTERVAL_FULL_RANGE, dtype, span)
#define kwj_decode_iso_interval(text, dtype, span)	DecodeISO8601Interval(text, dtype, span)
#define kwj_span_to_interval(span, interval)	itmin2interval(span, interval)
#else
#define KWJ_SPAN	struct { struct pg_tm tm; fsec_t fsec; }
#define kwj_decode_interval(field, ftype, nf, dtype, span) \
	DecodeInterval(field, ftype, nf, INTERVAL_FULL_RANGE, dtype, &(span)->tm, &(span)->fsec)
#define kwj_decode_iso_interval(text, dtype, span) \
	DecodeISO8601Interval(text, dtype, &(span)->tm, &(span)->fsec)
#define kwj_span_to_interval(span, interval)	tm2interval(&(span)->tm, (span)->fsec, interval)
#endif

/*
 * Returns whether an AFTER trigger runs as the role that has changed the row, as it does since 18.
 * Before, it runs as the role that is current when the trigger runs: at the end of the statement or
 * of the transaction.
 */
#if PG_VERSION_NUM >= 180000
#define kwj_after_triggers_keep_role	true
#else
#define kwj_after_triggers_keep_role	false
#endif

/* The signature of ExecutorRun_hook. */
#if PG_VERSION_NUM >= 180000
#define KWJ_EXECUTOR_RUN_PARAMETERS \
	QueryDesc *queryDesc, ScanDirection direction, uint64 count
#define KWJ_EXECUTOR_RUN_ARGUMENTS	queryDesc, direction, count
#else
#define KWJ_EXECUTOR_RUN_PARAMETERS \
	QueryDesc *queryDesc, ScanDirection direction, uint64 count, bool execute_once
#define KWJ_EXECUTOR_RUN_ARGUMENTS	queryDesc, direction, count, execute_once
#endif

/*
 * Goes through the pages of a bitmap beside the scan that reads them (nodes/tidbitmap.h), and returns
 * how many of them the scan has read (nodes/execnodes.h).
 */
#if PG_VERSION_NUM >= 180000
#define KwjBitmapIterator		TBMPrivateIterator *
#define kwj_bitmap_begin(it, bitmap)	((it) = tbm_begin_private_iterate(bitmap))
#define kwj_bitmap_next(it)		tbm_private_iterate(it, &(TBMIterateResult) {0})
#define kwj_bitmap_end(it)		tbm_end_private_iterate(it)
#define kwj_bitmap_pages_read(node) \
	(((volatile BitmapHeapScanState *) (node))->stats.exact_pages + \
	 ((volatile BitmapHeapScanState *) (node))->stats.lossy_pages)
#else
#define KwjBitmapIterator		TBMIterator *
#define kwj_bitmap_begin(it, bitmap)	((it) = tbm_begin_iterate(bitmap))
#define kwj_bitmap_next(it)		(tbm_iterate(it) != NULL)
#define kwj_bitmap_end(it)		tbm_end_iterate(it)
#define kwj_bitmap_pages_read(node) \
	(((volatile BitmapHeapScanState *) (node))->exact_pages + \
	 ((volatile BitmapHeapScanState *) (node))->lossy_pages)
#endif

/*
 * Returns a pointer to the number of blocks that this process has read of the open relation in this
 * transaction; NULL if PostgreSQL does not count them (track_counts = off).
 */
#if PG_VERSION_NUM >= 160000
#define kwj_blocks_read(rel) \
	(pgstat_should_count_relation(rel) ? &(rel)->pgstat_info->counts.blocks_fetched : NULL)
#elif PG_VERSION_NUM >= 150000
#define kwj_blocks_read(rel) \
	(pgstat_should_count_relation(rel) ? &(rel)->pgstat_info->t_counts.t_blocks_fetched : NULL)
#else
#define kwj_blocks_read(rel) \
	((rel)->pgstat_info != NULL ? &(rel)->pgstat_info->t_counts.t_blocks_fetched : NULL)
#endif

/*
 * kwj_get_file() gets the OIDs of the tablespace and of the database of a relation's file. The
 * fields were renamed in 16. kwj_file_path() returns the palloc'd path of a permanent relation's
 * file; since 18 PostgreSQL's function returns the text itself and not a pointer to it.
 */
#if PG_VERSION_NUM >= 160000
#define kwj_get_file(rel, tablespace, database) \
	(*(tablespace) = (rel)->rd_locator.spcOid, *(database) = (rel)->rd_locator.dbOid)
#else
#define kwj_get_file(rel, tablespace, database) \
	(*(tablespace) = (rel)->rd_node.spcNode, *(database) = (rel)->rd_node.dbNode)
#endif
#if PG_VERSION_NUM >= 180000
#define kwj_file_path(database, tablespace, number) \
	pstrdup(GetRelationPath(database, tablespace, number, INVALID_PROC_NUMBER, MAIN_FORKNUM).str)
#elif PG_VERSION_NUM >= 170000
#define kwj_file_path(database, tablespace, number) \
	GetRelationPath(database, tablespace, number, INVALID_PROC_NUMBER, MAIN_FORKNUM)
#else
#define kwj_file_path(database, tablespace, number) \
	GetRelationPath(database, tablespace, number, InvalidBackendId, MAIN_FORKNUM)
#endif

/*
 * Returns a number such that the difference of two processes' numbers is the distance of their
 * entries in PostgreSQL's array of PgBackendStatus; below 0: the process has no entry. Before 17 it
 * is the id of the backend.
 */
#if PG_VERSION_NUM >= 170000
#define kwj_backend_number(proc)	GetNumberFromPGProc(proc)
#else
#define kwj_backend_number(proc)	((proc)->backendId)
#endif

/*
 * The counters of CLUSTER and VACUUM FULL. Since 19 these commands use the counters of REPACK, and
 * REPACK has one phase and two counters more than CLUSTER had.
 */
#if PG_VERSION_NUM >= 190000
#define KWJ_PROGRESS_COMMAND_CLUSTER		PROGRESS_COMMAND_REPACK
#define KWJ_PROGRESS_CLUSTER_COMMAND		PROGRESS_REPACK_COMMAND
#define KWJ_PROGRESS_CLUSTER_PHASE			PROGRESS_REPACK_PHASE
#define KWJ_PROGRESS_CLUSTER_SCANNED		PROGRESS_REPACK_HEAP_TUPLES_SCANNED
#define KWJ_PROGRESS_CLUSTER_WRITTEN		PROGRESS_REPACK_HEAP_TUPLES_INSERTED
#define KWJ_PROGRESS_CLUSTER_BLOCKS			PROGRESS_REPACK_TOTAL_HEAP_BLKS
#define KWJ_PROGRESS_CLUSTER_BLOCKS_DONE	PROGRESS_REPACK_HEAP_BLKS_SCANNED
#define KWJ_PROGRESS_CLUSTER_INDEXES		PROGRESS_REPACK_INDEX_REBUILD_COUNT
#define KWJ_CLUSTER_SEQ_SCAN		PROGRESS_REPACK_PHASE_SEQ_SCAN_HEAP
#define KWJ_CLUSTER_INDEX_SCAN		PROGRESS_REPACK_PHASE_INDEX_SCAN_HEAP
#define KWJ_CLUSTER_SORT			PROGRESS_REPACK_PHASE_SORT_TUPLES
#define KWJ_CLUSTER_WRITE			PROGRESS_REPACK_PHASE_WRITE_NEW_HEAP
#define KWJ_CLUSTER_SWAP			PROGRESS_REPACK_PHASE_SWAP_REL_FILES
#define KWJ_CLUSTER_REBUILD			PROGRESS_REPACK_PHASE_REBUILD_INDEX
#define KWJ_CLUSTER_CLEANUP			PROGRESS_REPACK_PHASE_FINAL_CLEANUP
#define KWJ_CLUSTER_NEWER_PHASES	[PROGRESS_REPACK_PHASE_CATCH_UP] = "catching up",
#else
#define KWJ_PROGRESS_COMMAND_CLUSTER		PROGRESS_COMMAND_CLUSTER
#define KWJ_PROGRESS_CLUSTER_COMMAND		PROGRESS_CLUSTER_COMMAND
#define KWJ_PROGRESS_CLUSTER_PHASE			PROGRESS_CLUSTER_PHASE
#define KWJ_PROGRESS_CLUSTER_SCANNED		PROGRESS_CLUSTER_HEAP_TUPLES_SCANNED
#define KWJ_PROGRESS_CLUSTER_WRITTEN		PROGRESS_CLUSTER_HEAP_TUPLES_WRITTEN
#define KWJ_PROGRESS_CLUSTER_BLOCKS			PROGRESS_CLUSTER_TOTAL_HEAP_BLKS
#define KWJ_PROGRESS_CLUSTER_BLOCKS_DONE	PROGRESS_CLUSTER_HEAP_BLKS_SCANNED
#define KWJ_PROGRESS_CLUSTER_INDEXES		PROGRESS_CLUSTER_INDEX_REBUILD_COUNT
#define KWJ_CLUSTER_SEQ_SCAN		PROGRESS_CLUSTER_PHASE_SEQ_SCAN_HEAP
#define KWJ_CLUSTER_INDEX_SCAN		PROGRESS_CLUSTER_PHASE_INDEX_SCAN_HEAP
#define KWJ_CLUSTER_SORT			PROGRESS_CLUSTER_PHASE_SORT_TUPLES
#define KWJ_CLUSTER_WRITE			PROGRESS_CLUSTER_PHASE_WRITE_NEW_HEAP
#define KWJ_CLUSTER_SWAP			PROGRESS_CLUSTER_PHASE_SWAP_REL_FILES
#define KWJ_CLUSTER_REBUILD			PROGRESS_CLUSTER_PHASE_REBUILD_INDEX
#define KWJ_CLUSTER_CLEANUP			PROGRESS_CLUSTER_PHASE_FINAL_CLEANUP
#define KWJ_CLUSTER_NEWER_PHASES
#endif

/*
 * Deletes a row of a heap, without triggers, and waits for transactions that have locked it. Since 19
 * heap_delete() has one argument more, in another order.
 */
#if PG_VERSION_NUM >= 190000
#define kwj_heap_delete(rel, tid, failure) \
	heap_delete(rel, tid, GetCurrentCommandId(true), 0, InvalidSnapshot, true, failure)
#else
#define kwj_heap_delete(rel, tid, failure) \
	heap_delete(rel, tid, GetCurrentCommandId(true), InvalidSnapshot, true, failure, false)
#endif

/* The OID of random(), which is one of several functions of this name since 17. */
#if PG_VERSION_NUM >= 170000
#define KWJ_F_RANDOM	F_RANDOM_
#else
#define KWJ_F_RANDOM	F_RANDOM
#endif

/* Returns a descriptor of the first n columns, without their defaults and constraints. */
#if PG_VERSION_NUM >= 180000
#define kwj_first_columns(columns, n)	CreateTupleDescTruncatedCopy(columns, n)
#else
#define kwj_first_columns(columns, n) \
	__extension__ ({ TupleDesc first_ = CreateTemplateTupleDesc(n); \
		for (AttrNumber i_ = 1; i_ <= (n); i_++) TupleDescCopyEntry(first_, i_, columns, i_); \
		first_; })
#endif

/* Ends insertions into an index. Since 17 it may keep something in info from one insertion to the next. */
#if PG_VERSION_NUM >= 170000
#define kwj_index_insert_cleanup(index, info)	index_insert_cleanup(index, info)
#else
#define kwj_index_insert_cleanup(index, info)	((void) 0)
#endif

#endif
