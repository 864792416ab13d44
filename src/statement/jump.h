/*
 * src/statement/jump.h
 *	  Return from a function further up the C stack. Only fallback.c includes this.
 *
 * It is a file of its own because it is the one part that depends on the processor.
 */
#ifndef KWJ_STATEMENT_JUMP_H
#define KWJ_STATEMENT_JUMP_H

#define UNW_LOCAL_ONLY
#include <libunwind.h>

/*
 * Continues at the cursor, as if the function that was called there had returned this result.
 * Returns only if libunwind refuses.
 */
#if defined(__aarch64__)

/*
 * libunwind 1.6's unw_resume() loses the registers on this processor, so this function restores
 * them. d8 to d15 are callee-saved, too, but nothing between raw_parser() and here has changed
 * them, as no floating-point code runs on the way to an error.
 */
static inline void
kwj_jump(unw_cursor_t *cursor, unw_word_t result)
{
	unw_word_t	saved[13];		/* x19 to x29, stack pointer, address to continue at */

	for (int i = 0; i <= 10; i++)
		unw_get_reg(cursor, UNW_AARCH64_X19 + i, &saved[i]);
	unw_get_reg(cursor, UNW_REG_SP, &saved[11]);
	unw_get_reg(cursor, UNW_REG_IP, &saved[12]);
	__asm__ __volatile__(
						 "mov x9, %0\n"
						 "mov x0, %1\n"
						 "ldp x19, x20, [x9]\n"
						 "ldp x21, x22, [x9, #16]\n"
						 "ldp x23, x24, [x9, #32]\n"
						 "ldp x25, x26, [x9, #48]\n"
						 "ldp x27, x28, [x9, #64]\n"
						 "ldr x29, [x9, #80]\n"
						 "ldp x10, x30, [x9, #88]\n"
						 "mov sp, x10\n"
						 "ret\n"
						 :
						 :"r"(saved), "r"(result)
						 :"x0", "x9", "x10", "memory");
	__builtin_unreachable();
}

#else

static inline void
kwj_jump(unw_cursor_t *cursor, unw_word_t result)
{
	unw_set_reg(cursor, UNW_REG_EH, result);
	unw_resume(cursor);
}

#endif

#endif
