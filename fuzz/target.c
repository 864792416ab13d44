/*
 * fuzz/target.c
 *	  What libFuzzer calls with each text, inside a process of PostgreSQL: see run.
 *
 * As in production, our code is asked about a text that raw_parser() refuses with a
 * syntax error. What has to hold then:
 *	- the tokens are those of PostgreSQL's scanner
 *	- a job statement is found where its words stand as tokens, and only there; a
 *	  text without such words has none, and valid SQL has none either
 *	- the text with its job statements masked is as long, and has the same tokens
 *	  but for the masks
 *	- the parse tree is whole, nothing of it lies in memory that is gone, and its
 *	  locations are in the text; an error is one for the user, and so is its position
 *	- comments between the tokens, or a statement before the text, change nothing
 *	- where PostgreSQL's parser stopped only saves work: nothing else is accepted
 *	- the process is afterwards as it was before, whether there was an error or not
 *	- nothing beyond the end of the text or of the tokens is read
 */
#include "postgres.h"

#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "kwjobs.h"
#include "target.h"

/*
 * src/statement reads this setting. The fuzzer's target links no other directory of src, so it
 * defines the variable itself.
 */
int			kwj_scope = KWJ_SCOPE_DATABASE;

PG_MODULE_MAGIC;
PG_FUNCTION_INFO_V1(kwj_fuzz);
PG_FUNCTION_INFO_V1(kwj_fuzz_slow);

typedef int (*Callback) (const uint8_t *data, size_t size);
extern int	LLVMFuzzerRunDriver(int *argc, char ***argv, Callback callback);

/* Memory that ends where none can be read. */
typedef struct Fenced
{
	char	   *memory;
	Size		size;
} Fenced;

static Fenced fenced_text, fenced_tokens;
static const char *current_text = "";

void
kwj_broken(const char *file, int line, const char *condition)
{
	fprintf(stderr, "%s:%d: this does not hold: %s\n%s\n", file, line, condition,
			current_text);
	abort();
}

/* A copy that ends where the fence starts. */
static void *
copy_fenced(Fenced *fenced, const void *data, Size size)
{
	Size		page = sysconf(_SC_PAGESIZE);

	if (fenced->memory == NULL)
	{
		fenced->size = MAX_TEXT * sizeof(KwjToken);
		fenced->memory = mmap(NULL, fenced->size + page, PROT_READ | PROT_WRITE,
							  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (fenced->memory == MAP_FAILED ||
			mprotect(fenced->memory + fenced->size, page, PROT_NONE) != 0)
			elog(FATAL, "could not make a fence: %m");
	}
	check(size <= fenced->size);
	return memcpy(fenced->memory + fenced->size - size, data, size);
}

/* The state of a process that our code must leave as it was. */
typedef struct ProcessState
{
	sigjmp_buf *exception_stack;
	ErrorContextCallback *context_stack;
	uint32		interrupt_holdoff;
	uint32		cancel_holdoff;
	uint32		critical_sections;
	int			client_level;
	int			log_level;
} ProcessState;

static ProcessState
process_state(void)
{
	ProcessState state;

	memset(&state, 0, sizeof(state));
	state.exception_stack = PG_exception_stack;
	state.context_stack = error_context_stack;
	state.interrupt_holdoff = InterruptHoldoffCount;
	state.cancel_holdoff = QueryCancelHoldoffCount;
	state.critical_sections = CritSectionCount;
	state.client_level = client_min_messages;
	state.log_level = log_min_messages;
	return state;
}

/* Is an error in progress that nobody has thrown? */
static bool
error_is_left(void)
{
	MemoryContext old = CurrentMemoryContext;
	volatile bool left = true;

	PG_TRY();
	{
		/* an error of its own, if there is none */
		geterrcode();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		left = strcmp(CopyErrorData()->message, "errstart was not called") != 0;
		FlushErrorState();
	}
	PG_END_TRY();
	return left;
}

static void
check_process(const ProcessState *before)
{
	ProcessState after = process_state();

	check(memcmp(&after, before, sizeof(after)) == 0);
	check(!error_is_left());
}

/* Look at the masks, unless these statements cannot be masked. */
static void
check_mask(const KwjSource *source, List *statements)
{
	MemoryContext old = CurrentMemoryContext;

	PG_TRY();
	{
		kwj_check_mask(source, statements);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		FlushErrorState();
	}
	PG_END_TRY();
}

/* Ask our code about the text, in the steps of fallback.c. */
static void
ask(Call *call, bool is_valid)
{
	KwjSource  *source = kwj_scan(call->text, call->length);
	KwjSource  *opened = kwj_open_source(call->text, call->length);
	List	   *statements;

	check(!error_is_left());
	source->tokens = copy_fenced(&fenced_tokens, source->tokens,
								 source->ntokens * sizeof(KwjToken));
	opened->is_statement = call->is_statement;
	opened->stop = call->stop;
	kwj_check_tokens(source);
	statements = kwj_find_statements(source, 0, source->ntokens);
	kwj_check_statements(source, statements);
	call->found = statements != NIL;
	if (statements != NIL && source->scan_error == NULL)
	{
		check(!is_valid);
		check_mask(source, statements);
	}
	MemoryContextSwitchTo(call->context);
	call->trees = kwj_parse_source(opened, &call->found);
	check(call->found ? call->trees != NIL && statements != NIL : call->trees == NIL);
	check(call->found || statements == NIL || !call->is_statement || call->stop > 0);
	check(CurrentMemoryContext == call->context);
}

/* The same, with errors caught and everything looked at afterwards. */
static void
run(Call *call, bool is_valid)
{
	ProcessState before = process_state();
	const char *text = call->text;

	call->text = copy_fenced(&fenced_text, text, call->length + 1);
	call->scratch = AllocSetContextCreate(call->context, "job statement", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(call->scratch);
	PG_TRY();
	{
		ProcessState inside = process_state();

		ask(call, is_valid);
		check_process(&inside);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(call->context);
		call->error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	check_process(&before);
	MemoryContextSwitchTo(call->context);
	MemoryContextDelete(call->scratch);
	memset((char *) call->text, 'x', call->length);
	call->text = text;
	kwj_check_answer(call);
}

/*
 * The SQLSTATE with which raw_parser() refuses the text, and where in it, in characters;
 * 0 if it accepts it.
 */
int
kwj_refusal(const char *text, RawParseMode mode, int *position)
{
	MemoryContext old = CurrentMemoryContext;
	volatile int sqlstate = 0;

	PG_TRY();
	{
		raw_parser(text, mode);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		sqlstate = geterrcode();
		*position = geterrposition();
		FlushErrorState();
	}
	PG_END_TRY();
	return sqlstate;
}

/* Ask about a text that means the same as the one of this call. */
static Call
ask_variant(const Call *call, const char *text, bool is_valid)
{
	Call		variant = *call;
	int			position;

	variant.text = text;
	variant.length = strlen(text);
	variant.error = NULL;
	check(kwj_refusal(text, RAW_PARSE_DEFAULT, &position) == ERRCODE_SYNTAX_ERROR);
	variant.stop = kwj_check_stop(text, variant.length, position);
	run(&variant, is_valid);
	return variant;
}

static void
test_variants(const Call *call, bool is_valid)
{
	static const char *const before = "SELECT '\xc3\xbc';";
	Call		shifted = ask_variant(call, psprintf("%s%s", before, call->text), is_valid);
	Call		spread = ask_variant(call, kwj_spread_tokens(call->text), is_valid);

	kwj_check_shifted(call, &shifted, pg_mbstrlen(before));
	kwj_check_spread(call, &spread);
}

/* Ask about the text as a statement and as an expression of PL/pgSQL. */
static void
test_text(const char *text, int length)
{
	MemoryContext old = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(old, "text", ALLOCSET_DEFAULT_SIZES);
	int			position = 0;
	int			as_statement = 0;
	bool		is_valid;

	MemoryContextSwitchTo(context);
	is_valid = kwj_refusal(text, RAW_PARSE_DEFAULT, &as_statement) == 0;
	for (int is_statement = 0; is_statement <= 1; is_statement++)
	{
		Call		call = {.text = text, .length = length, .is_statement = is_statement};
		Call		unlimited;

		if (kwj_refusal(text, is_statement ? RAW_PARSE_DEFAULT : RAW_PARSE_PLPGSQL_EXPR, &position) !=
			ERRCODE_SYNTAX_ERROR)
			continue;
		call.context = context;
		unlimited = call;
		call.stop = kwj_check_stop(text, length, position);
		run(&call, is_valid);
		run(&unlimited, is_valid);
		/* what is wrong as an expression is not accepted because it is right as a statement */
		if (is_statement || position == as_statement)
			kwj_check_accepted(&call, &unlimited);
		if (is_statement && call.found)
			test_variants(&call, is_valid);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

static int
test_input(const uint8_t *data, size_t size)
{
	char	   *text;
	Size		allocated;
	int			tries = 0;

	/* the server refuses it before it is parsed */
	if (memchr(data, '\0', size) || !pg_verifymbstr((const char *) data, size, true))
		return 0;
	text = pnstrdup((const char *) data, size);
	current_text = text;

	/* what is kept for the next time is not kept twice */
	do
	{
		allocated = MemoryContextMemAllocated(TopMemoryContext, true);
		test_text(text, size);
	} while (MemoryContextMemAllocated(TopMemoryContext, true) > allocated && ++tries < 5);
	check(tries < 5);
	current_text = "";
	pfree(text);
	return 0;
}

/* Errors are caught here, and there is no client to be told of notices. */
static void
be_quiet(void)
{
	SetConfigOption("exit_on_error", "off", PGC_SUSET, PGC_S_SESSION);
	SetConfigOption("log_min_messages", "fatal", PGC_SUSET, PGC_S_SESSION);
}

/* kwj_fuzz_slow(dictionary text, seconds integer, seed integer): does not return */
Datum
kwj_fuzz_slow(PG_FUNCTION_ARGS)
{
	be_quiet();
	kwj_look_for_slow_texts(text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_GETARG_INT32(1),
							PG_GETARG_INT32(2));
	PG_RETURN_VOID();
}

/* kwj_fuzz(VARIADIC arguments of libFuzzer text[]): does not return */
Datum
kwj_fuzz(PG_FUNCTION_ARGS)
{
	/* libFuzzer's own handlers, which write down the text, are set only where none is */
	static const int signals[] = {SIGALRM, SIGFPE, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
	Datum	   *values;
	int			count;
	char	  **arguments;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT,
					  &values, NULL, &count);
	arguments = palloc0((count + 2) * sizeof(char *));
	arguments[0] = pstrdup("kwj_fuzz");
	for (int i = 0; i < count; i++)
		arguments[i + 1] = TextDatumGetCString(values[i]);
	count++;
	for (int i = 0; i < lengthof(signals); i++)
		pqsignal(signals[i], SIG_DFL);
	be_quiet();
	exit(LLVMFuzzerRunDriver(&count, &arguments, test_input));
}
