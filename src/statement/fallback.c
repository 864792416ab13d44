/*
 * src/statement/fallback.c
 *	  Accepts job statements on a server whose grammar does not know them.
 *
 * Caller: elog.c, by an error context callback, in every process that parses SQL. Takes no locks
 * and reads no catalog.
 *
 *     raw_parser's caller         <---------- 5. kwj_jump: continues here, with our trees
 *       raw_parser                            2. its frame: scanner state, text, place of the error
 *         base_yyparse, ... scanner_yyerror
 *           errfinish                         1. calls the callbacks; ours is the last
 *             on_error
 *               resume_parser                 3. look.c: is there a job statement? no: just return,
 *                                                and PostgreSQL raises its error
 *                 parse_instead               4. FlushErrorState(), parse the text in our way
 *
 * PostgreSQL's parser tries first, so a text that it accepts never comes here. On a syntax error,
 * errfinish() calls the error context callbacks before it throws. If the text has job statements,
 * the callback drops that error, parses the text itself, and makes the running call of raw_parser()
 * return those trees, by unwinding the C stack to raw_parser()'s caller.
 *
 * Why that is safe: between that caller and the callback there is only raw_parser() and what it
 * calls. None of these functions holds anything that outlives its memory context. Entries that the
 * vanishing frames have left on error_context_stack are removed; a PG_TRY among the frames makes us
 * give up.
 *
 * How the callback stays installed: PostgresMain() empties error_context_stack after each error.
 * The callback sees every error before that, and then asks to be called again when PostgresMain()
 * resets MessageContext, just before it reads the next message. Other processes either abort their
 * transaction after an error or have no error handler of their own: there the transaction
 * callbacks, or the next hook of kwjobs, install it again.
 *
 * If an error, a cancel or a termination comes while the text is parsed in our way, it is an
 * ordinary error, because the syntax error is over.
 *
 * Known holes: the layout of raw_parser()'s frame and of flex's scanner state is checked, but may
 * change with a compiler or a major version; then the self-test (self_test.c) switches job
 * statements off. They are also off on other processors, and under a hardware shadow stack, which
 * the jump would violate.
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

/* True while this file parses a text: a syntax error that comes then is for the user. */
static bool busy = false;

/* True while the self-test runs. "problem" says what has gone wrong in it. */
static bool testing = false;
static const char *problem = NULL;

#ifdef KWJ_CAN_RESUME

/* The most frames between the callback and raw_parser(). */
#define MAX_FRAMES	16

/*
 * The part of raw_parser()'s local variables (base_yy_extra_type) that is needed here. A header of
 * the server has it up to version 15 only.
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

/* The beginning of every scanner state made by flex 2.6 (struct yyguts_t). */
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
	int			initialized;
	int			start;			/* flex's start condition, such as SCANNER_INITIAL */
} ScannerState;

/* The start condition outside of quotes and comments. */
#define SCANNER_INITIAL	1

/* Where to return to, and what the parser has left on the stack. */
typedef struct Resume
{
	unw_context_t context;
	unw_cursor_t cursor;		/* the frame of raw_parser()'s caller */
	char	   *frame;			/* stack pointer of raw_parser()'s frame */
	char	   *caller_frame;	/* stack pointer of its caller's frame, where its own ends */
	ParserState *parser;
	ScannerState *scanner;
} Resume;

/*
 * Returns whether this memory can be read. A word of the stack may be anything, so this asks the
 * kernel.
 */
static bool
is_readable(const void *address, Size size)
{
	uintptr_t	page_size = sysconf(_SC_PAGESIZE);
	uintptr_t	start = (uintptr_t) address & ~(page_size - 1);
	uintptr_t	end = (uintptr_t) address + size;

	return address != NULL && (uintptr_t) address % sizeof(void *) == 0 &&
		end > start && msync((void *) start, end - start, MS_ASYNC) == 0;
}

/* Returns whether this word points to the scanner that the parser uses. */
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
 * Finds the states of the parser and of the scanner in raw_parser()'s frame. Two known pointers
 * next to each other identify the parser's state. The scanner's state begins with a pointer to the
 * parser's state; the pointer to the scanner is on the stack or in a callee-saved register.
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
 * Returns whether this frame is raw_parser()'s. libunwind is asked only once where the function's
 * code ends, because the answer takes longer than all the rest.
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

/*
 * Walks the stack from resume->context to raw_parser() and its caller. Returns false if it does not
 * find them.
 */
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
 * Returns the end of the token at which the parser stopped, as an offset. The scanner is one token
 * further if the parser has looked ahead.
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
 * Restores bytes of the text. The scanner has put a NUL behind the token that it has read last, and
 * behind the one before if the parser has looked ahead. piece: a copy of [from, to) of its buffer,
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

/*
 * Copies the text around the place where the parser stopped to "copy", and returns the place in
 * this copy.
 */
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
 * Returns whether the scanner has stopped in a comment or a quoted text that has no end. The rest
 * of the text belongs to it, so words there get no hint, even if they look like a job statement.
 */
static bool
is_unterminated(const Resume *resume)
{
	return resume->scanner->start != SCANNER_INITIAL;
}

/* Returns the hint for a syntax error at this place; NULL: none. */
static const char *
hint_near(const Resume *resume, const KwjPlace *place)
{
	return is_unterminated(resume) ? NULL : kwj_hint_near(place);
}

/*
 * Returns the text that raw_parser() was called with, restored in the scanner's buffer, which
 * nothing else will use. NULL if it is not as expected.
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
 * Returns whether the parser was called for a statement, not for an expression of PL/pgSQL. For an
 * expression, the first token that it got does not stand in the text.
 */
static bool
is_statement(const Resume *resume, const char *text)
{
	const ParserState *parser = resume->parser;

	if (debug_query_string && strcmp(debug_query_string, text) == 0)
		return true;
	return parser->lookahead_end == NULL && parser->lookahead_location != 0;
}

/*
 * Returns whether the processor checks return addresses against a shadow stack, which we cannot
 * unwind.
 */
static bool
has_shadow_stack(void)
{
#ifdef __x86_64__
	uint64		pointer = 0;

	/* a no-op on processors without a shadow stack */
	__asm__ volatile("rdsspq %0" : "+r"(pointer));
	return pointer != 0;
#else
	return false;
#endif
}

/*
 * Returns whether the parser was called for the name of a type; then its caller expects no
 * statements. typeStringToTypeName() may be inlined into its caller parseTypeString(). Also returns
 * true if libunwind does not know the caller.
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
 * Parses this text in our way, into trees in "context". Returns false if it has no job statement.
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
 * Parses the text that raw_parser() could not parse, into trees in "context". Returns false if that
 * cannot be tried; the syntax error is then still in progress. If the text has no job statement
 * after all, raises the syntax error again.
 *
 * If the session is canceled or terminated meanwhile, that is an ordinary error, since the syntax
 * error is over.
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
		const char *hint = hint_near(resume, &place);

		if (hint && error->hint == NULL)
			error->hint = MemoryContextStrdup(context, hint);
		/* as errfinish() would have done for the error */
		InterruptHoldoffCount = 0;
		QueryCancelHoldoffCount = 0;
		ReThrowError(error);
	}
	MemoryContextSwitchTo(context);
	MemoryContextDelete(scratch);
	return true;
}

/*
 * Returns whether the text may have a job statement near the place where the parser stopped, and is
 * short enough to be searched. If not, the syntax error may get a hint.
 */
static bool
is_worth_while(const Resume *resume)
{
	char		copy[2 * KWJ_LOOK_BYTES];
	KwjPlace	place = place_of(resume, copy);
	const char *hint;

	if (!kwj_form_near(&place, kwj_words_of_form))
	{
		hint = hint_near(resume, &place);
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
 * If the text of the call of raw_parser() that is about to fail has job statements, parses it and
 * makes that call return the trees. Otherwise returns whether the error is one of raw_parser(). This
 * function's frame has to live until the jump, because the cursor refers to it.
 */
static bool
resume_parser(void)
{
	Resume		resume;
	MemoryContext context;
	List	   *trees = NIL;

	if (has_shadow_stack())
	{
		problem = "the processor protects return addresses (shadow stack)";
		return true;
	}
	unw_getcontext(&resume.context);
	if (!find_raw_parser(&resume))
		return false;
	if (!is_worth_while(&resume) || is_type_name(&resume))
		return true;
	/* give up if a frame that would vanish has set an error handler (PG_TRY) */
	if ((char *) PG_exception_stack < resume.caller_frame &&
		(char *) PG_exception_stack > (char *) &resume)
		return true;

	/* the memory context of raw_parser()'s caller: it has allocated the scanner's buffer */
	context = GetMemoryChunkContext(resume.parser->core.scanbuf);
	if (!parse_instead(&resume, context, &trees))
		return true;

	while (error_context_stack != NULL &&
		   (char *) error_context_stack < resume.caller_frame &&
		   (char *) error_context_stack > (char *) &resume)
		error_context_stack = error_context_stack->previous;
	kwj_jump(&resume.cursor, (unw_word_t) (uintptr_t) trees);
	/* reached only if libunwind refuses, and then the syntax error is gone */
	elog(ERROR, "could not return to the caller of raw_parser()");
	return true;
}

#else

static bool
resume_parser(void)
{
	problem = "they are not supported on this processor or operating system";
	return true;
}

#endif

static void
on_message_context_reset(void *arg)
{
	message_callback_is_set = false;
	kwj_statement_arm();
}

/* The error context callback. It is called for each error and each message. */
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
	{
		kwj_explain_off();
		return;
	}
	/* The text of a syntax error of raw_parser() may be large, and kwj_explain_error() would copy it. */
	if (geterrcode() != ERRCODE_SYNTAX_ERROR || !resume_parser())
		kwj_explain_error();
}

static void
after_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PARALLEL_ABORT)
		kwj_statement_arm();
}

/* plpgsql_check empties error_context_stack, and then tries statements in subtransactions. */
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

/*
 * Checks that SHOW JOB 1 parses, and yields the right tree. Returns what is wrong; NULL if nothing
 * is. This needs no shared memory.
 */
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

void
kwj_fallback_init(void)
{
	kwj_statement_arm();
	RegisterXactCallback(after_transaction, NULL);
	RegisterSubXactCallback(before_subtransaction, NULL);
}
