/* SPDX-License-Identifier: MIT */
/* Talking to people: one line on stderr, "cprof-record: ...", in one write, so that it is not torn by what the target prints. */
#pragma once

void message(const char *format, ...) __attribute__((format(printf, 1, 2)));
