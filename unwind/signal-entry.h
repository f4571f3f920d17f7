/* SPDX-License-Identifier: MIT */
/*
 * Samples amid the delivery of a signal, or amid the return from its handler.
 *
 * The kernel changes the user's registers one by one (x64_setup_rt_frame and restore_sigcontext, arch/x86/kernel/signal_64.c). A sample
 * taken between two of these stores shows a pc and an sp that never were together:
 *
 *     delivery   sp is the signal frame's, pc still the interrupted one
 *     return     pc is the interrupted one again, sp still the signal frame's; or the other way round: sp is, pc the trampoline's
 *
 * While the pc is the interrupted one, the signal frame tells all registers. In the last case nothing that can be found tells them.
 *
 *     delivery:  sp --> | trampoline | ucontext ...          return:  sp --> | ucontext ...
 *
 * Only a sample taken in kernel mode can be one of these.
 */
#pragma once

#include "unwind/memory.h"

/* Is it one where the signal frame tells the registers? Then they are put right. Reads the sample's bytes alone. */
bool signal_entry_mend(const struct memory *memory, struct unwind_registers *registers);

/* The pc is a signal trampoline's: is the signal frame not where sp says? */
bool signal_entry_is_torn(const struct memory *memory, const struct unwind_registers *registers);
