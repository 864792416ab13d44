/*
 * src/statement/fallback.c
 *	  Accepts job statements on a server whose grammar does not know them.
 *
 * Runs in every process that parses SQL; takes no locks and reads no catalog.
 *
 * PostgreSQL's parser tries first. When it reports a syntax error, errfinish()
 * calls the error context callbacks, of which ours is the last, before it throws
 * the error. If there are job statements in the text, the callback drops the
 * error, parses the text in its own way, and makes the call of raw_parser() that
 * was about to fail return that parse tree: it unwinds the C stack to the caller
 * of raw_parser().
 *
 * Nothing but raw_parser() and what it calls stands between the two, and none of
 * that holds anything that outlives the memory context. What is left on
 * error_context_stack by the frames that vanish is taken off; a PG_TRY among
 * them would keep us from resuming.
 *
 * PostgresMain() empties error_context_stack after each error, so the callback
 * has to be hung there again. It sees every error before that happens, and then
 * asks to be called when PostgresMain() resets MessageContext, just before it
 * reads the next message. Other processes end their transaction after an error,
 * or hold no error handler of their own; there the callback of the transaction,
 * or the next statement that parses, does it.
 */
#include "postgres.h"

#include <sys/mman.h>
#include <unistd.h>

#include "access/xact.h"
#include "kwjobs.h"
#include "miscadmin.h"
#include "parser/parse_type.h"
#include "parser/scanner.h"
#include "statement/internal.h"
#include "statement/jump.h"
#include "statement/statement.h"
#include "tcop/tcopprot.h"
#include "utils/elog.h"
#include "utils/memutils.h"

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
#define KWJ_CAN_RESUME
#endif

static void on_error(void *arg);
static void on_message_context_reset(void *arg);

static ErrorContextCallback bottom = {NULL, on_error, NULL};
static MemoryContextCallback message_callback = {on_message_context_reset, NULL, NULL};
static bool message_callback_is_set = false;

/* Are we parsing? Then a syntax error is the user's. */
static bool busy = false;

/* The self-test: does it run, and what has gone wrong? */
static bool testing = false;
static const char *problem = NULL;

#ifdef KWJ_CAN_RESUME

/* How many frames there can be from the callback to raw_parser(). */
#define MAX_FRAMES	16

/*
 * What raw_parser() keeps on its stack, as far as we need it. Until version 15 a
 * header of the server has it.
 */
typedef struct ParserState
{
	core_yy_extra_type core;
	bool		have_lookahead;
	int			lookahead_token;
	core_YYSTYPE lookahead_value;
	YYLTYPE		lookahead_location;
	char	   *lookahead_end;
	char		lookahead_hold_char;
} ParserState;

/* What every scanner made by flex 2.6 starts with. */
typedef struct ScannerState
{
	core_yy_extra_type *extra;
	void	   *in;
	void	   *out;
	size_t		buffer_stack_top;
	size_t		buffer_stack_max;
	void	   *buffer_stack;
	char		hold_char;
	int			nchars;
	int			length;
	char	   *position;
} ScannerState;

/* Where to go back to, and what the parser has left there. */
typedef struct Resume
{
	unw_context_t context;
	unw_cursor_t cursor;		/* at the caller of raw_parser() */
	char	   *frame;			/* of raw_parser() */
	char	   *caller_frame;
	ParserState *parser;
	ScannerState *scanner;
} Resume;

/* Can this memory be read? A word of the stack may be anything. */
static bool
is_readable(const void *address, Size size)
{
	uintptr_t	page_size = sysconf(_SC_PAGESIZE);
	uintptr_t	start = (uintptr_t) address & ~(page_size - 1);
	uintptr_t	end = (uintptr_t) address + size;

	return address != NULL && (uintptr_t) address % sizeof(void *) == 0 &&
		end > start && msync((void *) start, end - start, MS_ASYNC) == 0;
}

/* Does this word point to the scanner of the parser? */
static bool
is_scanner(const Resume *resume, uintptr_t word)
{
	const ScannerState *scanner = (const ScannerState *) word;
	const core_yy_extra_type *extra = &resume->parser->core;

	return is_readable(scanner, sizeof(ScannerState)) &&
		scanner->extra == extra &&
		scanner->position >= extra->scanbuf &&
		scanner->position <= extra->scanbuf + extra->scanbuflen &&
		*scanner->position == '\0';
}

/*
 * Find what raw_parser() keeps: two known pointers side by side give the state of
 * the parser away, a pointer to a pointer to that is the scanner. The latter may
 * be in a register that raw_parser()'s caller does not expect to change.
 */
static bool
find_parser_state(Resume *resume, unw_cursor_t *raw_parser_cursor)
{
	uintptr_t  *words = (uintptr_t *) resume->frame;
	Size		nwords = (resume->caller_frame - resume->frame) / sizeof(uintptr_t);

	for (Size i = 0; i + sizeof(ParserState) / sizeof(uintptr_t) <= nwords; i++)
	{
		ParserState *parser = (ParserState *) &words[i];

		if (parser->core.keywordlist == &ScanKeywords &&
			parser->core.keyword_tokens == ScanKeywordTokens)
		{
			resume->parser = parser;
			break;
		}
	}
	if (resume->parser == NULL)
		return false;

	for (Size i = 0; i < nwords; i++)
	{
		if (is_scanner(resume, words[i]))
		{
			resume->scanner = (ScannerState *) words[i];
			return true;
		}
	}
	for (int i = 0; i <= UNW_REG_LAST; i++)
	{
		unw_word_t	value;

		if (unw_is_fpreg(i) || unw_get_reg(raw_parser_cursor, i, &value) < 0)
			continue;
		if (is_scanner(resume, value))
		{
			resume->scanner = (ScannerState *) value;
			return true;
		}
	}
	return false;
}

/*
 * Is this frame raw_parser()'s? Where its code ends is asked only once, as that takes
 * libunwind longer than the rest of its work.
 */
static bool
is_raw_parser(unw_cursor_t *cursor)
{
	static unw_word_t end = 0;
	unw_word_t	start = (unw_word_t) (uintptr_t) raw_parser;
	unw_word_t	here;
	unw_proc_info_t procedure;

	if (unw_get_reg(cursor, UNW_REG_IP, &here) < 0 || here < start || (end != 0 && here > end))
		return false;
	if (end != 0)
		return true;
	if (unw_get_proc_info(cursor, &procedure) < 0 || procedure.start_ip != start)
		return false;
	end = procedure.end_ip;
	return true;
}

/* Walk the stack from resume->context to raw_parser() and its caller. */
static bool
find_raw_parser(Resume *resume)
{
	unw_cursor_t here;
	unw_word_t	stack_pointer;
	int			frames = 0;

	resume->parser = NULL;
	resume->scanner = NULL;
	if (unw_init_local(&resume->cursor, &resume->context) < 0)
		return false;
	do
	{
		if (++frames > MAX_FRAMES || unw_step(&resume->cursor) <= 0)
		{
			problem = "raw_parser() was not found on the stack";
			return false;
		}
	} while (!is_raw_parser(&resume->cursor));

	unw_get_reg(&resume->cursor, UNW_REG_SP, &stack_pointer);
	resume->frame = (char *) stack_pointer;
	here = resume->cursor;
	if (unw_step(&resume->cursor) <= 0)
		return false;
	unw_get_reg(&resume->cursor, UNW_REG_SP, &stack_pointer);
	resume->caller_frame = (char *) stack_pointer;

	if (find_parser_state(resume, &here))
		return true;
	problem = "the state of the parser was not found on the stack";
	return false;
}

/*
 * Where the token ends at which the parser stopped, as an offset. The scanner is one
 * token further if it looked ahead.
 */
static int
stop_of(const Resume *resume)
{
	const ParserState *parser = resume->parser;
	const char *buffer = parser->core.scanbuf;

	if (parser->have_lookahead && parser->lookahead_end >= buffer &&
		parser->lookahead_end < buffer + parser->core.scanbuflen)
		return parser->lookahead_end - buffer;
	return resume->scanner->position - buffer;
}

/*
 * The scanner has put a NUL after the token it read last, and after one before it if it
 * looked ahead: put back what was there. "piece" is a copy of [from, to) of its buffer,
 * or the buffer itself.
 */
static void
restore_bytes(const Resume *resume, char *piece, int from, int to)
{
	const ParserState *parser = resume->parser;
	int			position = resume->scanner->position - parser->core.scanbuf;
	int			stop = stop_of(resume);

	if (position >= from && position < to)
		piece[position - from] = resume->scanner->hold_char;
	if (stop != position && stop >= from && stop < to)
		piece[stop - from] = parser->lookahead_hold_char;
}

/* Copy the text around the place where the parser stopped to "copy". */
static KwjPlace
place_of(const Resume *resume, char copy[2 * KWJ_LOOK_BYTES])
{
	int			stop = stop_of(resume);
	int			from = Max(stop - KWJ_LOOK_BYTES, 0);
	int			to = Min((Size) stop + KWJ_LOOK_BYTES, resume->parser->core.scanbuflen);
	KwjPlace	place = {copy, to - from, stop - from, from == 0};

	memcpy(copy, resume->parser->core.scanbuf + from, to - from);
	restore_bytes(resume, copy, from, to);
	return place;
}

/*
 * The text that raw_parser() was called with: the scanner's buffer, which nobody else
 * will use any more. NULL if it is not what it should be.
 */
static char *
original_text(const Resume *resume)
{
	char	   *text = resume->parser->core.scanbuf;
	Size		length = resume->parser->core.scanbuflen;

	restore_bytes(resume, text, 0, length);
	return strlen(text) == length ? text : NULL;
}

/*
 * Was the parser called for a statement, not for an expression of PL/pgSQL? In the
 * latter case the first token it got was one that is not in the text.
 */
static bool
is_statement(const Resume *resume, const char *text)
{
	const ParserState *parser = resume->parser;

	if (debug_query_string && strcmp(debug_query_string, text) == 0)
		return true;
	return parser->lookahead_end == NULL && parser->lookahead_location != 0;
}

/* Does the processor check return addresses against a stack that we cannot unwind? */
static bool
has_shadow_stack(void)
{
#ifdef __x86_64__
	uint64		pointer = 0;

	/* does nothing where there is none */
	__asm__ volatile("rdsspq %0" : "+r"(pointer));
	return pointer != 0;
#else
	return false;
#endif
}

/*
 * Was the parser called for the name of a type? Then its caller wants no statements.
 * The second function is the first one's caller, which may contain it.
 */
static bool
is_type_name(Resume *resume)
{
	unw_proc_info_t caller;

	return unw_get_proc_info(&resume->cursor, &caller) < 0 ||
		caller.start_ip == (unw_word_t) (uintptr_t) typeStringToTypeName ||
		caller.start_ip == (unw_word_t) (uintptr_t) parseTypeString;
}

/*
 * Parse this text in our way, into trees in "context". False if there is no job
 * statement in it.
 */
static bool
parse_text(const Resume *resume, char *text, MemoryContext context, List **trees)
{
	volatile bool found = false;

	busy = true;
	PG_TRY();
	{
		KwjSource  *source = kwj_open_source(text, resume->parser->core.scanbuflen);
		bool		has_statements;

		source->stop = stop_of(resume);
		source->is_statement = is_statement(resume, text);
		MemoryContextSwitchTo(context);
		*trees = kwj_parse_source(source, &has_statements);
		found = has_statements;
	}
	PG_FINALLY();
	{
		busy = false;
	}
	PG_END_TRY();
	return found;
}

/*
 * Parse the text that raw_parser() could not. False if there is no job statement in
 * it: then the caller's error is still in progress. The trees are in "context".
 *
 * The session may be told to stop meanwhile. That is an error like any other, because
 * the one that was being reported is over.
 */
static bool
parse_instead(const Resume *resume, MemoryContext context, List **trees)
{
	MemoryContext old = CurrentMemoryContext;
	MemoryContext scratch = AllocSetContextCreate(context, "job statement",
												  ALLOCSET_DEFAULT_SIZES);
	ErrorData  *error;
	char	   *text;

	MemoryContextSwitchTo(scratch);
	error = CopyErrorData();
	text = error->elevel == ERROR ? original_text(resume) : NULL;
	if (text == NULL)
	{
		problem = "the text that was parsed was not found";
		MemoryContextSwitchTo(old);
		MemoryContextDelete(scratch);
		return false;
	}

	FlushErrorState();
	if (!parse_text(resume, text, context, trees))
	{
		KwjPlace	place = kwj_place(text, resume->parser->core.scanbuflen, stop_of(resume));
		const char *hint = kwj_hint_near(&place);

		if (hint && error->hint == NULL)
			error->hint = MemoryContextStrdup(context, hint);
		/* as errfinish() would have done */
		InterruptHoldoffCount = 0;
		QueryCancelHoldoffCount = 0;
		ReThrowError(error);
	}
	MemoryContextSwitchTo(context);
	MemoryContextDelete(scratch);
	return true;
}

/* Is it worth while to look for job statements in the text? If not, the error may get a hint. */
static bool
is_worth_while(const Resume *resume)
{
	char		copy[2 * KWJ_LOOK_BYTES];
	KwjPlace	place = place_of(resume, copy);
	const char *hint;

	if (!kwj_form_near(&place, kwj_words_of_form))
	{
		hint = kwj_hint_near(&place);
		if (hint)
			errhint("%s", hint);
		return false;
	}
	if (resume->parser->core.scanbuflen > KWJ_MAX_TEXT)
	{
		errhint("Send a job statement by itself: a text of more than %d MB is not searched for job statements.",
				KWJ_MAX_TEXT / (1024 * 1024));
		return false;
	}
	return true;
}

/*
 * Return from the call of raw_parser() that is about to fail, if its text has job
 * statements. This frame has to live until then: the cursor refers to it.
 */
static void
resume_parser(void)
{
	Resume		resume;
	MemoryContext context;
	List	   *trees = NIL;

	if (has_shadow_stack())
	{
		problem = "the processor protects return addresses (shadow stack)";
		return;
	}
	unw_getcontext(&resume.context);
	if (!find_raw_parser(&resume) || !is_worth_while(&resume) || is_type_name(&resume))
		return;
	/* is an error handler set by a frame that would vanish? */
	if ((char *) PG_exception_stack < resume.caller_frame &&
		(char *) PG_exception_stack > (char *) &resume)
		return;

	/* what raw_parser()'s caller has as its current context */
	context = GetMemoryChunkContext(resume.parser->core.scanbuf);
	if (!parse_instead(&resume, context, &trees))
		return;

	while (error_context_stack != NULL &&
		   (char *) error_context_stack < resume.caller_frame &&
		   (char *) error_context_stack > (char *) &resume)
		error_context_stack = error_context_stack->previous;
	kwj_jump(&resume.cursor, (unw_word_t) (uintptr_t) trees);
	/* not reached unless the unwinder refuses, and then the error is gone */
	elog(ERROR, "could not return to the caller of raw_parser()");
}

#else

static void
resume_parser(void)
{
	problem = "they are not supported on this processor or operating system";
}

#endif

static void
on_message_context_reset(void *arg)
{
	message_callback_is_set = false;
	kwj_statement_arm();
}

/* The error context callback: called for every error and every message. */
static void
on_error(void *arg)
{
	if (!message_callback_is_set && MessageContext != NULL)
	{
		message_callback_is_set = true;
		MemoryContextRegisterResetCallback(MessageContext, &message_callback);
	}
	if (busy || !(kwj_statements || testing))
		return;

	if (kwj_statement_problem() != NULL)
		kwj_explain_off();
	else if (geterrcode() == ERRCODE_SYNTAX_ERROR)
		resume_parser();
	else
		kwj_explain_error();
}

static void
after_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PARALLEL_ABORT)
		kwj_statement_arm();
}

/* plpgsql_check empties error_context_stack, then tries statements in subtransactions. */
static void
before_subtransaction(SubXactEvent event, SubTransactionId child,
					  SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_START_SUB)
		kwj_statement_arm();
}

void
kwj_statement_arm(void)
{
	ErrorContextCallback **callback = &error_context_stack;

	while (*callback != NULL && *callback != &bottom)
		callback = &(*callback)->previous;
	*callback = &bottom;
}

/* Does SHOW JOB 1 parse, and to what it should? It needs no shared memory. */
static const char *
test_parser(void)
{
	List	   *volatile trees = NIL;
	volatile bool failed = false;
	SelectStmt *select;
	RangeVar   *table;

	problem = "the parser does not call error context callbacks";
	PG_TRY();
	{
		trees = raw_parser("SELECT 1; SHOW JOB 1", RAW_PARSE_DEFAULT);
	}
	PG_CATCH();
	{
		failed = true;
		FlushErrorState();
	}
	PG_END_TRY();
	if (failed)
		return problem;

	select = (SelectStmt *) llast_node(RawStmt, trees)->stmt;
	table = IsA(select, SelectStmt) && select->fromClause ? linitial(select->fromClause) : NULL;
	if (list_length(trees) != 2 || table == NULL || !IsA(table, RangeVar) ||
		strcmp(table->relname, "jobs") != 0 || table->location != strlen("SELECT 1; "))
		return "the parse tree of SHOW JOB 1 is not what it should be";
	return NULL;
}

const char *
kwj_statement_test(void)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "self-test of job statements",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	const char *result;

	kwj_statement_arm();
	testing = true;
	result = test_parser();
	testing = false;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return result;
}

/* The callbacks of a process that parses. */
void
kwj_fallback_init(void)
{
	kwj_statement_arm();
	RegisterXactCallback(after_transaction, NULL);
	RegisterSubXactCallback(before_subtransaction, NULL);
}
