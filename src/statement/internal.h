/*
 * src/statement/internal.h
 *	  What the files of src/statement share.
 *
 *	  fallback.c		catches the syntax error and returns our parse tree instead
 *	  self_test.c	finds out whether that works in this server
 *	  explain.c		says what other errors of job statements mean
 *	  scan.c		cuts the text into tokens
 *	  forms.c		the table of statement forms, and where forms may stand
 *	  syntax.c		checks a statement token by token
 *	  options.c		WITH option = value, ...
 *	  look.c		looks around the place where PostgreSQL's parser stopped
 *	  hint.c		what to type instead of a statement that is refused
 *	  parse.c		masks the statements, lets PostgreSQL parse the rest
 *	  piece.c		parses the expressions and queries in job statements
 *	  unmask.c		puts trees in the place of the masks
 *	  rewrite_*.c	builds the parse tree of one form
 *	  grammar_*.c	the syntax of forms whose job type is still to come
 *	  tree.c		small pieces of parse trees
 *	  show.c		SHOW JOBS, which PostgreSQL parses as the name of a setting
 *
 * Everything here runs in whatever process parses SQL, without catalog access:
 * it has to work in an aborted transaction, too.
 *
 * A text is never changed in length: what we take out of it is replaced by
 * something as long, so that every location in a parse tree is an offset in
 * the text of the user.
 */
#ifndef KWJ_STATEMENT_INTERNAL_H
#define KWJ_STATEMENT_INTERNAL_H

#include "compat.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"


/*
 * Limits that bound time and memory. Job statements are not looked for in a longer text,
 * a text can have so many of them, and they can have so many expressions and queries.
 */
#define KWJ_MAX_TEXT		(8 * 1024 * 1024)
#define KWJ_MAX_STATEMENTS	10000
#define KWJ_MAX_PIECES		100000

/*
 * The words that a job statement starts with, and what PostgreSQL's parser stops at, are
 * at most so many bytes apart.
 */
#define KWJ_LOOK_BYTES	4096

/* How many levels of job statements in brackets there may be, one in the other. */
#define KWJ_MAX_DEPTH	32

/* For fuzz/run slow: how many tokens were looked at and how many bytes parsed. */
#ifdef KWJ_COUNT_WORK
extern uint64 kwj_work;
#define kwj_count_work(n)	(kwj_work += (n))
#else
#define kwj_count_work(n)	((void) 0)
#endif

/* A token is where it stands in the text: [start, end). */
typedef struct KwjToken
{
	int			start;
	int			end;
	int			close;			/* the token that closes it, if it opens something */
} KwjToken;

typedef struct KwjSource
{
	const char *text;
	int			length;
	/* where the token ends at which PostgreSQL's parser stopped; 0: not known */
	int			stop;
	KwjToken   *tokens;			/* those read so far, without the forgotten ones */
	int			ntokens;
	struct KwjScanner *scanner;
	bool		is_complete;	/* has the scanner come to the end? */
	bool		is_cut;			/* were tokens forgotten? */
	/* what stopped the scanner, NULL if it came to the end of the text */
	ErrorData  *scan_error;
	/* is it known to be statements, not an expression of PL/pgSQL? */
	bool		is_statement;
	/* how many row sources without an alias got one of ours */
	int			naliases;
	/* are statements built only to find out what their pieces are? */
	bool		is_collecting;
	/* how many levels of job statements are around what is parsed now */
	int			depth;
	/* how many statements were found, and pieces collected */
	int			nstatements;
	int			npieces;
	/* where tokens and masked texts live; the trees do not */
	MemoryContext scratch;
} KwjSource;

typedef struct KwjForm KwjForm;

/* A job statement in a text: the tokens [first, last). */
typedef struct KwjStatement
{
	KwjSource  *source;
	const KwjForm *form;
	int			first;
	int			rest;			/* the first token after the form's words */
	int			last;
	bool		in_brackets;
	bool		is_lateral;		/* the brackets come after LATERAL */
	bool		has_tree;		/* is it in the parse tree now? */
	List	   *pieces;			/* its expressions and queries, see piece.c */
	int			npieces;		/* so many of them are built into its tree */
} KwjStatement;

#define KWJ_MAX_WORDS	4

/*
 * A form that works has a builder. One whose job type is still to come has
 * "check", which raises an error unless its syntax is right, and "instead": what
 * to do until then.
 */
struct KwjForm
{
	const char *words[KWJ_MAX_WORDS + 1];
	/* does it return rows, so that it can stand in FROM, COPY, DECLARE? */
	bool		is_query;
	const char *name;
	const char *usage;			/* a hint: one whole sentence */
	Node	   *(*build) (KwjStatement *statement);
	void		(*check) (KwjStatement *statement);
	const char *instead;		/* a hint: one whole sentence */
	/* for words that PostgreSQL's own statements start with: is it ours? */
	bool		(*is_ours) (const KwjSource *source, int rest, int last);
};

/* WITH option = value, ... */
typedef struct KwjOptions
{
	List	   *names;			/* C strings */
	List	   *pairs;			/* names and values by turns, without "detached" */
	bool		detached;
} KwjOptions;

/* A piece of the text around the place where PostgreSQL's parser stopped. */
typedef struct KwjPlace
{
	const char *text;
	int			length;
	int			stop;			/* where the token ends at which the parser stopped */
	bool		is_start;		/* does the piece start where the text does? */
} KwjPlace;

/* A list of words that statements start with: those with this number, or NULL. */
typedef const char *const *(*KwjWords) (int number);

/* look.c */
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
extern Node *kwj_build_statement(KwjStatement *statement);
extern void kwj_refuse_unsupported(const char *first, const char *second);

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

/* parse.c */
extern List *kwj_parse_source(KwjSource *source, bool *found);
extern List *kwj_parse_tokens(KwjStatement *statement, int first, int last,
							  RawParseMode mode, List *statements);
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
#define KWJ_EXPECTED_IDS	"A query that returns job IDs must stand here."
extern Node *kwj_parse_query(KwjStatement *statement, int first, int last,
							 const char *expected);
extern InsertStmt *kwj_parse_insert(KwjStatement *statement, int head,
									int select, int select_end);

/* unmask.c */
extern void kwj_fill_statements(List *trees, List *statements);

/* rewrite_show.c, rewrite_control.c, rewrite_import.c */
extern SelectStmt *kwj_show_jobs_tree(int location);
extern int	kwj_show_columns_count(void);
extern Node *kwj_build_show_job(KwjStatement *statement);
extern Node *kwj_build_show_jobs(KwjStatement *statement);
extern Node *kwj_build_show_automatic(KwjStatement *statement);
extern void kwj_prevent_in_recovery(const KwjStatement *statement);
extern Node *kwj_build_control_job(KwjStatement *statement);
extern Node *kwj_build_control_jobs(KwjStatement *statement);
extern Node *kwj_build_import(KwjStatement *statement);

/* rewrite_setting.c */
extern Node *kwj_build_set_setting(KwjStatement *statement);
extern Node *kwj_build_reset_setting(KwjStatement *statement);
extern Node *kwj_build_show_setting(KwjStatement *statement);

/* grammar_schedule.c, grammar_transfer.c, grammar_statistics.c */
extern void kwj_check_create_schedule(KwjStatement *statement);
extern void kwj_check_alter_schedule(KwjStatement *statement);
extern void kwj_check_control_schedule(KwjStatement *statement);
extern void kwj_check_drop_schedules(KwjStatement *statement);
extern void kwj_check_show_schedule(KwjStatement *statement);
extern void kwj_check_show_schedules(KwjStatement *statement);
extern void kwj_check_jobs_for_schedule(KwjStatement *statement);
extern void kwj_check_import_table(KwjStatement *statement);
extern void kwj_check_import_database(KwjStatement *statement);
extern void kwj_check_import_sql(KwjStatement *statement);
extern void kwj_check_export(KwjStatement *statement);
extern void kwj_check_export_sql(KwjStatement *statement);
extern void kwj_check_backup(KwjStatement *statement);
extern void kwj_check_restore(KwjStatement *statement);
extern bool kwj_is_no_assignment(const KwjSource *source, int rest, int last);
extern void kwj_check_statistics(KwjStatement *statement);
extern bool kwj_is_our_statistics(const KwjSource *source, int rest, int last);

/* tree.c: nodes without a location of their own have location -1 */
extern List *kwj_name(const char *schema, const char *object);
extern Node *kwj_text(const char *string);
extern Node *kwj_null(void);
extern Node *kwj_cast(Node *arg, const char *type, bool array, int location);
extern Node *kwj_column(const char *relation, const char *column);
extern Node *kwj_call(const char *schema, const char *function, List *args,
					  int location);
/* What every function of the extension starts with that is in pg_catalog. */
#define KWJ_FUNCTION_PREFIX	"kwjobs_"
extern Node *kwj_own_call(const char *name, List *args, int location);
/* It takes and returns a bigint. */
#define KWJ_INTEGER_FUNCTION	"int8up"
extern Node *kwj_integer(Node *value, int location);
extern Node *kwj_installed(int location);
extern Node *kwj_operator(const char *operator, Node *left, Node *right);
extern Node *kwj_and(List *args);
extern Node *kwj_array(List *elements, int location);
extern Node *kwj_sublink(SubLinkType type, Node *query, int location);
extern ResTarget *kwj_target(const char *name, Node *value);
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
 * fallback.c: parse a job statement and look at the tree. NULL if that works, otherwise why
 * job statements cannot work in this server: one lower-case phrase. May crash on a processor
 * on which nobody has tried it.
 */
extern const char *kwj_statement_test(void);

/* self_test.c: why job statements do not work in this server; NULL: they do */
extern void kwj_statement_self_test(void);
extern const char *kwj_statement_problem(void);

/* problem.c: what the self-test writes there, empty if all is well. */
#define KWJ_PROBLEM_LEN	200
extern char kwj_problem[KWJ_PROBLEM_LEN];

/* fallback.c: the callbacks of a process that parses. */
extern void kwj_fallback_init(void);

/* show.c */
extern void kwj_show_init(void);

#endif
