/*
 * src/type/sql/settings.c
 *	  The settings with which the statement of a SQL job runs.
 *
 * Process: session (when the job is created), worker. Locks: none.
 */
#include "postgres.h"

#include "compat.h"
#include "miscadmin.h"
#include "job/json.h"
#include "type/sql/settings.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/json.h"
#include "utils/numeric.h"

/*
 * The bounds for one job. Each setting that the server does not know makes it slower to add
 * another.
 */
#define MOST_SETTINGS		100
#define LARGEST_SETTINGS	(64 * 1024)
/*
 * When the jobs of a worker have added this many settings that the server does not know, the next
 * job gets a new worker.
 */
#define MOST_MADE_UP		1000

/* Settings that exist, but not for a job. */
typedef struct Refused
{
	const char *name;
	const char *hint;
} Refused;

static const Refused refused[] = {
	{"role", "Use the argument run_as, or SET ROLE in the statement."},
	{"session_authorization", "Use the argument run_as."},
	{"client_encoding", "A job has no client: its statement and messages are in the encoding of the database."},
	{"transaction_read_only", "Use default_transaction_read_only."},
	{"transaction_isolation", "Use default_transaction_isolation."},
	{"transaction_deferrable", "Use default_transaction_deferrable."},
	{"idle_in_transaction_session_timeout", "A job is never idle; use the argument timeout."},
	{"idle_session_timeout", "A job is never idle; use the argument timeout."},
	{"transaction_timeout", "It would end the worker; use the argument timeout."},
};

static void
check_makes_sense(const char *name)
{
	for (int i = 0; i < lengthof(refused); i++)
		if (pg_strcasecmp(refused[i].name, name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("parameter \"%s\" cannot be set for a job", refused[i].name),
					 errhint("%s", refused[i].hint)));
}

/* Adds a hint to the errors for which PostgreSQL has none. */
static void
explain_error(void *arg)
{
	switch (geterrcode())
	{
		case ERRCODE_UNDEFINED_OBJECT:
			errhint("SHOW ALL lists the parameters that there are.");
			break;
		case ERRCODE_INSUFFICIENT_PRIVILEGE:
			errhint("Leave it out, or create the job as a role that may set it.");
			break;
		case ERRCODE_CANT_CHANGE_RUNTIME_PARAM:
			errhint("Leave it out.");
			break;
	}
	errcontext("setting \"%s\" of the job", (const char *) arg);
}

/* Sets the setting, or, if really is false, only checks that the current user may set it. */
static void
set(const char *name, const char *value, bool really)
{
	ErrorContextCallback callback = {error_context_stack, explain_error, unconstify(char *, name)};
	GucSource	source = PGC_S_SESSION;

	/*
	 * Check as strictly as the worker will when it sets the setting. PGC_S_TEST would accept more,
	 * for instance a tablespace that does not exist. But temp_buffers needs PGC_S_TEST, because a
	 * session that has used temporary tables accepts no other value.
	 */
	if (!really && pg_strcasecmp(name, "temp_buffers") == 0)
		source = PGC_S_TEST;
	error_context_stack = &callback;
	(void) set_config_option(name, value, superuser() ? PGC_SUSET : PGC_USERSET,
							 source, GUC_ACTION_SET, really, 0, false);
	error_context_stack = callback.previous;
}

/* Returns the value of a setting as SET takes it. */
static char *
value_text(const char *name, const JsonbValue *value)
{
	char	   *text = value->type != jbvBool ? kwj_json_scalar_text(value) :
		pstrdup(value->val.boolean ? "on" : "off");

	if (text == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for parameter \"%s\" of the job", name),
				 errdetail("It is neither a string nor a number nor a boolean."),
				 errhint("Write the value as SET takes it, for instance {\"work_mem\": \"64MB\"}.")));
	return text;
}

static void
refuse_no_object(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("settings must be a JSON object"),
			 errhint("For instance: settings => '{\"work_mem\": \"64MB\"}'.")));
}

static void
check_size(Jsonb *settings)
{
	uint32		n = JB_ROOT_COUNT(settings);

	if (n > MOST_SETTINGS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many settings for a job: %u", n),
				 errdetail("A job has at most %d.", MOST_SETTINGS),
				 errhint("Have the statement set the others, or a role that has them: ALTER ROLE ... SET.")));
	if (VARSIZE(settings) > LARGEST_SETTINGS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the settings of a job are too large: %zu bytes", (size_t) VARSIZE(settings)),
				 errdetail("They have at most %d bytes.", LARGEST_SETTINGS),
				 errhint("Write large values into a table that the statement reads.")));
}

typedef void (*EachSetting) (const char *name, const char *value, void *arg);

static void
for_each(Jsonb *settings, EachSetting each, void *arg)
{
	JsonbIterator *it = JsonbIteratorInit(&settings->root);
	JsonbIteratorToken token;
	JsonbValue	item;
	char	   *name = NULL;

	while ((token = JsonbIteratorNext(&it, &item, true)) != WJB_DONE)
	{
		CHECK_FOR_INTERRUPTS();
		if (token == WJB_KEY)
			name = pnstrdup(item.val.string.val, item.val.string.len);
		else if (token == WJB_VALUE)
			each(name, value_text(name, &item), arg);
	}
}

typedef struct Writer
{
	StringInfo	json;
	bool		has_search_path;
} Writer;

static void
write_one(const char *name, const char *value, void *arg)
{
	Writer	   *writer = arg;

	check_makes_sense(name);
	set(name, value, false);
	if (pg_strcasecmp(name, "search_path") == 0)
		writer->has_search_path = true;
	escape_json(writer->json, name);
	appendStringInfoString(writer->json, ": ");
	escape_json(writer->json, value);
	appendStringInfoString(writer->json, ", ");
}

void
kwj_sql_write_settings(StringInfo json, Jsonb *settings, Oid owner)
{
	Writer		writer = {.json = json};
	Oid			user;
	int			security_context;

	if (!JB_ROOT_IS_OBJECT(settings))
		refuse_no_object();
	check_size(settings);
	appendStringInfoChar(json, '{');

	/* After an error, the end of the transaction restores the user. */
	GetUserIdAndSecContext(&user, &security_context);
	SetUserIdAndSecContext(owner, security_context | SECURITY_LOCAL_USERID_CHANGE);
	for_each(settings, write_one, &writer);
	SetUserIdAndSecContext(user, security_context);

	if (!writer.has_search_path)
	{
		appendStringInfoString(json, "\"search_path\": ");
		escape_json(json, GetConfigOption("search_path", false, false));
	}
	else
		json->len -= strlen(", ");
	appendStringInfoChar(json, '}');
}

/*
 * How many settings PostgreSQL has added in this process for unknown names with a dot. It never
 * removes them.
 */
static int	n_made_up = 0;

static void
apply_one(const char *name, const char *value, void *arg)
{
	if (strchr(name, '.') != NULL && kwj_find_setting(name) == NULL)
		n_made_up++;
	set(name, value, true);
}

static void
apply_if_reading(const char *name, const char *value, void *arg)
{
	static const char *const reading[] = {"search_path", "datestyle", "intervalstyle", "timezone"};

	for (int i = 0; i < lengthof(reading); i++)
		if (pg_strcasecmp(name, reading[i]) == 0)
			set(name, value, true);
}

void
kwj_sql_apply_reading(Jsonb *payload)
{
	for_each(kwj_json_object(payload, "settings"), apply_if_reading, NULL);
}

bool
kwj_sql_settings_pile_up(void)
{
	return n_made_up >= MOST_MADE_UP;
}

void
kwj_sql_apply_settings(Jsonb *payload)
{
	for_each(kwj_json_object(payload, "settings"), apply_one, NULL);
}
