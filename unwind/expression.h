/* SPDX-License-Identifier: MIT */
/*
 * Recognises the few shapes of DWARF expressions (DWARF 5 section 2.5) that compilers and linkers write into CFI, as locations:
 *
 *     breg R, n                                        R + n            register saves of realigned frames and of signal trampolines
 *     breg R, n; deref [; plus_uconst m | lit m; plus] [R + n] + m      CFA of GCC's realigned frames (DRAP), of signal trampolines
 *     breg7 n; breg16 0; lit15; and; lit k; ge; lit3; shl; plus         the lazy PLT entry (binutils' elf_x86_64_eh_frame_plt)
 *     plus_uconst n | lit n; plus | consts n; plus     CFA + n          a register's expression starts with the CFA on its stack
 *
 * Everything else is left to libunwind. False: not recognised; *ret is then untouched.
 */
#pragma once

#include "unwind/rule.h"

/* `kind` is LOCATION_EXPRESSION (the value is in memory there) or LOCATION_EXPRESSION_VALUE. */
bool expression_recognise(struct bytes expression, enum location_kind kind, struct location *ret);

bool expression_recognise_cfa(struct bytes expression, struct location *ret);

/*
 * May libunwind be given it? Only operations that cannot trap or loop: no division, jumps forward only, and nothing that asks for what is
 * not registers and memory.
 */
bool expression_is_safe(struct bytes expression);
