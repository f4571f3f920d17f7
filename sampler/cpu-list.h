/* SPDX-License-Identifier: MIT */
/* The kernel's lists of CPUs, "0-3,8,10-11\n" (Documentation/admin-guide/cputopology.rst). */
#pragma once

#include "base/vec.h"

typedef VEC(int) cpu_list;

/* Adds the CPUs of `text`. -EINVAL: not such a list, or longer than any machine's. */
int cpu_list_parse(const char *text, cpu_list *ret);

/* The CPUs that are online. The caller frees the list with vec_free. */
int cpu_list_online(cpu_list *ret);
