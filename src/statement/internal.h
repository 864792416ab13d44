/*
 * src/statement/internal.h
 *	  What the files of src/statement share. How a text becomes parse trees:
 *
 *     "SELECT 1; PAUSE JOB f(2)"
 *         |
 *     raw_parser (PostgreSQL) --accepts--> its trees; a bare SHOW JOBS is changed by show.c
 *         | syntax error: errfinish() calls the error context callback
 *         v
 *     fallback.c   finds raw_parser()'s frame on the C stack, with the text and where it stopped
 *         v
 *     look.c       no words of a job statement near that place ---> PostgreSQL's error, perhaps
 *         |                                                         with a hint (hint.c)
 *         v
 *     scan.c       cuts the text into tokens, with PostgreSQL's scanner
 *     forms.c      finds the job statements, by a table of forms
 *         |           none ---> PostgreSQL's error
 *         v
 *     parse.c      masks them:   "SELECT 1; SELECT 1       "    and parses that with raw_parser()
 *     piece.c      parses their expressions and queries, where they stand
 *         |                      "          SELECT    f(2)"
 *         |        rewrite_*.c   builds the tree of each statement from its pieces (tree.c)
 *         v
 *     unmask.c     puts these trees in the place of the masks
 *         v
 *     fallback.c   unwinds the stack: raw_parser()'s caller gets the trees as its result
 *
 * Pieces may have job statements in brackets, [SHOW JOBS], so parse, piece and unmask call each
 * other, one level of brackets at a time.
 *
 *     error.c       the errors of job statements
 *     explain.c     adds to PostgreSQL's later errors about objects of ours
 *     hint.c        what to type instead of a statement that is refused
 *     syntax.c      checks a statement token by token
 *     options.c     WITH option = value, ...
 *     grammar_*.c   forms that are read token by token: those of schedules, BACKUP, RESTORE and CREATE
 *                   STATISTICS, and the syntax of those whose job type is still to come
 *     show.c        SHOW JOBS alone, which PostgreSQL parses as SHOW of a setting
 *     self_test.c   finds out whether all this works in this server; problem.c keeps the answer
 *
 * Everything here runs in whatever process parses SQL. It reads no catalog and takes no locks,
 * because it has to work in an aborted transaction, too. (show.c runs after the parser, and does
 * read catalogs.)
 *
 * The length of a text never changes. Each part that is taken out is replaced by a part of the same
 * length, so that each location in a parse tree is an offset in the text that the user has sent.
 */
#ifndef KWJ_STATEMENT_INTERNAL_H
#define KWJ_STATEMENT_INTERNAL_H

#include "compat.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"


/*
 * Limits on time and memory: the longest text that is searched for job statements, and the largest
 * numbers of job statements in a text, and of expressions and queries in all of them.
 */
#define KWJ_MAX_TEXT		(8 * 1024 * 1024)
#define KWJ_MAX_STATEMENTS	10000
#define KWJ_MAX_PIECES		100000

/*
 * How many bytes before and after the place where PostgreSQL's parser stopped are searched for the
 * words of a job statement. A statement whose words are further away is overlooked.
 */
#define KWJ_LOOK_BYTES	4096

/* How deep job statements in brackets may be nested. */
#define KWJ_MAX_DEPTH	32

/* For fuzz/run slow: counts the tokens that are looked at and the bytes that are parsed. */
#ifdef KWJ_COUNT_WORK
extern uint64 kwj_work;
#define kwj_count_work(n)	(kwj_work += (n))
#else
#define kwj_count_work(n)	((void) 0)
#endif

/* A token is known by its bytes in the text: [start, end). */
typedef struct KwjToken
{
	int			start;
	int			end;
	int			close;			/* the matching closing token, if it opens ( or [ */
} KwjToken;

/* A text that is parsed, and what is known of it. */
typedef struct KwjSource
{
	const char *text;
	int			length;
	/* end of the token at which PostgreSQL's parser stopped, an offset; 0: not known */
	int			stop;
	KwjToken   *tokens;			/* the tokens that were read so far, without the forgotten ones */
	int			ntokens;
	struct KwjScanner *scanner;
	bool		is_complete;	/* the scanner has read the whole text */
	bool		is_cut;			/* some tokens were forgotten */
	/* the error that stopped the scanner; NULL: it came to the end of the text */
	ErrorData  *scan_error;
	/* the text is known to be statements, not an expression of PL/pgSQL */
	bool		is_statement;
	/* number of job statements in brackets that got an alias from us */
	int			naliases;
	/* statements are built only to find out what their pieces are (piece.c) */
	bool		is_collecting;
	/* levels of job statements around what is parsed now */
	int			depth;
	/* number of statements that were found, and of pieces that were collected */
	int			nstatements;
	int			npieces;
	/* context of tokens and masked texts, but not of the trees */
	MemoryContext scratch;
} KwjSource;

typedef struct KwjForm KwjForm;

/* A job statement in a text: the tokens from first up to, but not including, last. */
typedef struct KwjStatement
{
	KwjSource  *source;
	const KwjForm *form;
	int			first;
	int			rest;			/* first token after the form's words */
	int			last;
	bool		in_brackets;
	bool		is_lateral;		/* LATERAL stands before the brackets */
	bool		has_tree;		/* its tree is in the parse tree */
	bool		is_scheduled;	/* it is the job of CREATE SCHEDULE, and nobody waits for it */
	List	   *pieces;			/* its expressions and queries (KwjPiece of piece.c) */
	int			npieces;		/* number of pieces that are built into its tree */
} KwjStatement;

#define KWJ_MAX_WORDS	4

/*
 * A form that works has a builder. A form whose job type is still to come has "check", which raises
 * a syntax error unless its syntax is right, and "instead", a hint what to do until then.
 */
struct KwjForm
{
	const char *words[KWJ_MAX_WORDS + 1];
	/* it returns rows, so it can stand in FROM, COPY and DECLARE */
	bool		is_query;
	const char *name;
	const char *usage;			/* a hint, one sentence */
	Node	   *(*build) (KwjStatement *statement);
	void		(*check) (KwjStatement *statement);
	const char *instead;		/* a hint, one sentence */
	/*
	 * for words with which PostgreSQL's own statements start, too: whether this statement is ours
	 */
	bool		(*is_ours) (const KwjSource *source, int rest, int last);
	bool		makes_job;		/* its tree is SELECT ... AS job_id if nobody waits: CREATE SCHEDULE FOR takes it */
};

/* WITH option = value, ... */
typedef struct KwjOptions
{
	List	   *names;			/* C strings */
	List	   *pairs;			/* names and values in turn, without "detached" */
	bool		detached;
	bool		words;			/* in: a value may be a word, as in first_run = now */
} KwjOptions;

/* The text around the place where PostgreSQL's parser stopped. */
typedef struct KwjPlace
{
	const char *text;
	int			length;
	int			stop;			/* end of the token at which the parser stopped, an offset */
	bool		is_start;		/* this begins where the whole text begins */
} KwjPlace;

/*
 * A function that returns the words with which statement number n starts; NULL after the last one.
 */
typedef const char *const *(*KwjWords) (int number);

/* look.c: see there */
extern KwjPlace kwj_place(const char *text, int length, int stop);
extern int	kwj_words_near(const KwjPlace *place, KwjWords words_of, bool surely,
						   const char **next);
extern bool kwj_form_near(const KwjPlace *place, KwjWords words_of);
extern bool kwj_form_before(const KwjPlace *place, KwjWords words_of);
extern bool kwj_words_at(const KwjPlace *place, const char *const *words);
extern bool kwj_words_before(const KwjPlace *place, const char *const *words);
extern bool kwj_show_near(const KwjPlace *place);

/* hint.c */
#define KWJ_USE_BRACKETS \
	"Put it in brackets where a table can stand: SELECT * FROM [SHOW JOBS]."
extern const char *kwj_hint(const KwjStatement *statement, int offset);
extern const char *kwj_hint_near(const KwjPlace *place);

/* scan.c */
extern KwjSource *kwj_open_source(const char *text, int length);
extern bool kwj_scan_statement(KwjSource *source);
extern void kwj_forget_tokens(KwjSource *source, int first);
extern KwjSource *kwj_scan(const char *text, int length);
extern bool kwj_is_word(const KwjSource *source, int token, const char *word);
extern bool kwj_is_symbol(const KwjSource *source, int token, char symbol);
extern bool kwj_is_any_word(const KwjSource *source, int token);
extern int	kwj_find_close(const KwjSource *source, int token, int last);
extern int	kwj_skip_nested(const KwjSource *source, int token, int last);
extern int	kwj_find_symbol(const KwjSource *source, int first, int last,
							char symbol);

/* forms.c */
extern const char *const *kwj_words_of_form(int number);
extern List *kwj_find_statements(KwjSource *source, int first, int last);
extern bool kwj_raises_errors(const KwjStatement *statement);
extern Node *kwj_build_statement(KwjStatement *statement);
extern Node *kwj_build_job(KwjStatement *statement, int first, int last);

/* syntax.c */
extern bool kwj_next_is(const KwjStatement *statement, int token, const char *word);
extern int	kwj_expect_word(KwjStatement *statement, int token, const char *word,
							const char *expected);
extern int	kwj_expect_string(KwjStatement *statement, int token,
							  const char *expected);
extern int	kwj_expect_strings(KwjStatement *statement, int token,
							   const char *expected);
extern int	kwj_expect_name(KwjStatement *statement, int token,
							const char *expected);
extern int	kwj_expect_dotted_name(KwjStatement *statement, int token,
								   const char *expected);
extern int	kwj_expect_enclosed(KwjStatement *statement, int token, char open,
								char close, const char *expected);
extern void kwj_expect_end(KwjStatement *statement, int token,
						   const char *expected);
extern int	kwj_find_word(const KwjStatement *statement, int first,
						  const char *word);
extern char *kwj_word_of(const KwjSource *source, int token);

/* options.c */
extern void kwj_parse_options(KwjStatement *statement, int first, bool enclosed,
							  KwjOptions *options);
extern void kwj_parse_with(KwjStatement *statement, int with,
						   const char *expected, KwjOptions *options);
extern int	kwj_find_options(KwjStatement *statement, int first);
extern Node *kwj_options_object(const KwjOptions *options);

/* parse.c */
extern List *kwj_parse_source(KwjSource *source, bool *found);
extern List *kwj_parse_tokens(KwjStatement *statement, int first, int last,
							  RawParseMode mode, List *statements);
extern List *kwj_parse_tail(KwjStatement *statement, int first, int last,
							List *statements);
extern List *kwj_parse_text(KwjStatement *statement, char *text, RawParseMode mode);
extern void kwj_put_trees(KwjSource *source, List *trees, List *statements);
pg_noreturn extern void kwj_syntax_error(KwjStatement *statement, int token,
										 const char *expected);
extern int	kwj_error_position(const KwjSource *source, int token);
extern bool kwj_is_error_of_text(void);

extern int	kwj_mask_start(const KwjStatement *statement);
extern char *kwj_blank_text(const KwjSource *source, int end);
extern void kwj_copy_tokens(const KwjSource *source, int first, int last, char *text);
extern void kwj_put_masks(const List *statements, char *text);
extern char *kwj_mask_statements(const KwjSource *source, int first, int last,
								 List *statements);

/* piece.c */
extern void kwj_read_pieces(KwjSource *source, List *statements);
extern Node *kwj_parse_expression(KwjStatement *statement, int first, int last,
								  const char *expected);
extern Node *kwj_parse_text_value(KwjStatement *statement, int first, int last, const char *expected);
#define KWJ_EXPECTED_IDS	"A query that returns job IDs must stand here."
extern Node *kwj_parse_query(KwjStatement *statement, int first, int last,
							 const char *expected);
extern int	kwj_find_clauses(const KwjStatement *statement, int first, int last);
extern SelectStmt *kwj_parse_clauses(KwjStatement *statement, int first, int last);
extern char *kwj_parse_table(KwjStatement *statement, int head, int last, const char *expected);
extern InsertStmt *kwj_parse_insert(KwjStatement *statement, int head,
									int select, int select_end);

/* unmask.c */
extern void kwj_fill_statements(List *trees, List *statements);

/* rewrite_show.c, rewrite_control.c, rewrite_import.c */
extern SelectStmt *kwj_show_jobs_tree(int location);
extern SelectStmt *kwj_show_schedules_tree(int location);
extern int	kwj_show_schedules_columns_count(void);
extern SelectStmt *kwj_show_jobs_of(Node *ids, int location);
extern Node *kwj_parse_reason(KwjStatement *statement, int with);
extern int	kwj_show_columns_count(void);
extern Node *kwj_build_show_job(KwjStatement *statement);
extern Node *kwj_build_show_jobs(KwjStatement *statement);
extern Node *kwj_build_show_automatic(KwjStatement *statement);
extern void kwj_prevent_in_recovery(const KwjStatement *statement);
extern Node *kwj_build_control_job(KwjStatement *statement);
extern Node *kwj_build_control_jobs(KwjStatement *statement);
extern bool kwj_is_all_jobs(const KwjSource *source, int rest, int last);
extern Node *kwj_build_control_all(KwjStatement *statement);
extern Node *kwj_build_import(KwjStatement *statement);
extern Node *kwj_build_import_table(KwjStatement *statement);
extern Node *kwj_build_import_database(KwjStatement *statement);

/* rewrite_export.c */
extern Node *kwj_build_export(KwjStatement *statement);

/* rewrite_setting.c */
extern Node *kwj_build_set_setting(KwjStatement *statement);
extern Node *kwj_build_reset_setting(KwjStatement *statement);
extern Node *kwj_build_show_setting(KwjStatement *statement);

/* grammar_schedule.c, grammar_transfer.c, grammar_backup.c, grammar_statistics.c */
extern Node *kwj_build_create_schedule(KwjStatement *statement);
extern Node *kwj_build_alter_schedule(KwjStatement *statement);
extern Node *kwj_build_control_schedule(KwjStatement *statement);
extern Node *kwj_build_drop_schedules(KwjStatement *statement);
extern Node *kwj_build_show_schedule(KwjStatement *statement);
extern Node *kwj_build_show_schedules(KwjStatement *statement);
extern Node *kwj_build_jobs_for_schedule(KwjStatement *statement);
extern void kwj_check_import_sql(KwjStatement *statement);
extern void kwj_check_export_sql(KwjStatement *statement);
extern Node *kwj_build_backup(KwjStatement *statement);
extern Node *kwj_build_restore(KwjStatement *statement);
extern Node *kwj_build_show_backup(KwjStatement *statement);
extern bool kwj_is_show_backup(const KwjSource *source, int rest, int last);
extern bool kwj_is_no_assignment(const KwjSource *source, int rest, int last);
extern Node *kwj_build_statistics(KwjStatement *statement);
extern bool kwj_is_our_statistics(const KwjSource *source, int rest, int last);

/* rewrite_create.c */
extern Node *kwj_tree_of_creation(KwjStatement *statement, const char *name, List *args, bool detached,
								  int n_results);

/* tree.c: nodes that are not from the user's text have location -1 */
extern int	kwj_location_of(const KwjStatement *statement);
extern List *kwj_name(const char *schema, const char *object);
extern Node *kwj_text(const char *string);
extern Node *kwj_null(void);
extern Node *kwj_null_text(void);
extern Node *kwj_cast(Node *arg, const char *type, bool array, int location);
extern Node *kwj_column(const char *relation, const char *column);
extern Node *kwj_call(const char *schema, const char *function, List *args,
					  int location);
/* prefix of the extension's functions in pg_catalog */
#define KWJ_FUNCTION_PREFIX	"kwjobs_"
extern Node *kwj_own_call(const char *name, List *args, int location);
/* takes and returns a bigint, without a cast */
#define KWJ_INTEGER_FUNCTION	"int8up"
extern Node *kwj_integer(Node *value, int location);
extern Node *kwj_installed(int location);
extern Node *kwj_operator(const char *operator, Node *left, Node *right);
extern Node *kwj_case(Node *condition, Node *result);
extern Node *kwj_and(List *args);
extern Node *kwj_array(List *elements, int location);
extern Node *kwj_table_constant(const RangeVar *table);
extern Node *kwj_sublink(SubLinkType type, Node *query, int location);
extern ResTarget *kwj_target(const char *name, Node *value);
extern Node *kwj_text_array(List *elements);
extern Node *kwj_select_job_id(const char *function, List *args, int location);
extern CallStmt *kwj_call_procedure(const char *procedure, List *args, int location);
extern SelectStmt *kwj_select(Node *value);
extern CommonTableExpr *kwj_with_value(const char *name, const char *column,
									   Node *value);
extern WithClause *kwj_with(List *expressions);
extern SelectStmt *kwj_select_with_value(const char *name, const char *column);
extern Node *kwj_equal_any(Node *left, SelectStmt *query);

/* explain.c */
extern void kwj_explain_error(void);
extern void kwj_explain_off(void);

/*
 * fallback.c: parses a job statement and checks the tree. Returns NULL if that works, otherwise a lower-case
 * phrase that says why job statements cannot work in this server. May crash on a processor where it was never
 * tried, so self_test.c calls it in a child process.
 */
extern const char *kwj_statement_test(void);

/* self_test.c runs the test; problem.c says why job statements do not work, NULL: they do */
extern void kwj_statement_self_test(void);
extern const char *kwj_statement_problem(void);

/* what the self-test found; empty if all is well */
#define KWJ_PROBLEM_LEN	200
extern char kwj_problem[KWJ_PROBLEM_LEN];

/* fallback.c: installs the callbacks by which a process accepts job statements */
extern void kwj_fallback_init(void);

/* show.c */
extern void kwj_show_init(void);

#endif
