/*
 * src/serve/server.h
 *	  A private server: sessions of PostgreSQL for a program that a worker runs, and for nobody
 *	  else. doc/developers/backup.md has the picture, and says why nobody else can use it.
 *
 * A type that gives its program sessions:
 *
 *     server = kwj_server_open(owner, most);
 *     spec.environment = kwj_server_environment(server, database, more);
 *     spec.directory = DataDir;
 *     kwj_server_watch(server, &spec, NULL, NULL);
 *     child = kwj_child_start(&spec);
 *     kwj_server_admit(server, database, name, kwj_child_pid(child));
 *     ... kwj_child_wait(child, &request) ...
 *     kwj_child_finish(child) and kwj_server_drain(server),
 *         or kwj_server_refuse(server) and kwj_child_kill(child)
 *     kwj_server_close(server);
 *
 * The type may raise an error at any point: the worker then closes the server.
 */
#ifndef KWJ_SERVE_SERVER_H
#define KWJ_SERVE_SERVER_H

#include "kwjobs.h"
#include "child/child.h"

typedef struct KwjServer KwjServer;

/* The first error that a session of the server has raised. */
typedef struct KwjServerError
{
	int			sqlstate;		/* 0: there was none */
	const char *message;
	const char *hint;			/* NULL: none */
} KwjServerError;

/*
 * Makes the sockets of a server, whose sessions belong to this role, the owner of the job. most: how
 * many sessions it has at the same time, at most; places for all of them are taken.
 *
 * Process: worker, in a transaction; one server at a time. Errors: 42704 if there is no such role; 0A000 if
 * the system has no means to tell who connects; those of errcode_for_file_access() for the sockets; 55000 if
 * there can never be that many places. If others have them now, the error is 53300, and the worker takes the
 * attempt back as if it had never begun (KwjAttempt.lacks), so nothing that counts may have been done before.
 */
extern KwjServer *kwj_server_open(Oid role, int most);

/*
 * Checks that a job can have `most` sessions. job_type: for the error. Process: session. Errors: 55000,
 * with the numbers and the settings in question.
 */
extern void kwj_server_check_places(const char *job_type, int most);

/*
 * Returns the environment for a program of PostgreSQL that is to connect to this database, palloc'd.
 * more: NULL, or further variables, up to a NULL.
 */
extern const char *const *kwj_server_environment(const KwjServer *server, const char *database,
												 const char *const *more);

/*
 * Has kwj_child_wait() look after the server. Changes the specification of the child. on_news(arg) is
 * called when the sessions may have sent more bytes; it raises no error. NULL: none.
 */
extern void kwj_server_watch(KwjServer *server, KwjChildSpec *spec, void (*on_news) (void *arg),
							 void *arg);

/*
 * From now on, processes of this program get sessions in this database, which has this name. The
 * worker calls this as soon as it has started the program: a client that connects before that waits
 * until the next kwj_child_wait().
 */
extern void kwj_server_admit(KwjServer *server, Oid database, const char *name, pid_t program);

/*
 * From now on no client gets a session, and those that wait for one are turned away. The worker
 * calls this before it ends the program, which may otherwise wait for an answer to a cancel
 * request. Raises no error.
 */
extern void kwj_server_refuse(KwjServer *server);

/*
 * Waits until all sessions of the program have ended, which they do by themselves when it has
 * exited; ends those that have not after a moment. Another program may be admitted afterwards.
 * Exits if the postmaster is dead. Errors: 57014 for an interrupt; 55P03, after which the job is
 * tried again, if a session does not even end by SIGTERM.
 */
extern void kwj_server_drain(KwjServer *server);

/* Returns the first error of a session since the last kwj_server_admit(). */
extern KwjServerError kwj_server_error(KwjServer *server);

/* Returns how many bytes of COPY all sessions have sent since kwj_server_open(). */
extern uint64 kwj_server_bytes(KwjServer *server);

/* Ends all sessions, waits for that, and removes the sockets. Raises no error. */
extern void kwj_server_close(KwjServer *server);

/*
 * Closes the server that is open, if there is one. Raises no error. Process: worker, when the work
 * of an attempt is over, however it has ended, and its programs have ended.
 */
extern void kwj_servers_end(void);

/* As kwj_server_refuse(), for the server that is open, if there is one. */
extern void kwj_servers_refuse(void);

/* Entry point of a session, which the postmaster finds by name. */
extern PGDLLEXPORT void kwj_serve_session_main(Datum arg);

#endif
