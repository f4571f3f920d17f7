/* SPDX-License-Identifier: MIT */
/*
 * Which libcprof-agent is to be preloaded into a program: the one that goes with its C library. A program built for musl cannot be started
 * behind a library built for glibc.
 */
#pragma once

#include <stddef.h>

/* `program`: as execvp takes it. 0 and the path, to be freed; or -errno and one line for people. A program that cannot be read is taken for
 * one of our own C library. */
int agent_file_find(const char *program, char **ret, char *ret_problem, size_t problem_size);
