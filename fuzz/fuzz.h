/*
 * fuzz/fuzz.h
 *	  What fuzz.c uses of text.c.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>

#define MAX_TEXT	16384

#define lengthof(array)	(sizeof(array) / sizeof((array)[0]))

extern char text[MAX_TEXT + 1];
extern int	ncorpus;

extern int	random_below(int limit);
extern bool may_have_job_statement(const char *s);
extern void read_corpus(const char *path);
extern void use_corpus(int i);
extern void make_text(void);
extern void hide_text(void);

#endif
