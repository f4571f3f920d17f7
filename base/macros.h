/* SPDX-License-Identifier: MIT */
/* The handful of macros every room uses. Safe anywhere, signal handlers included. */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(array)   (sizeof(array) / sizeof((array)[0]))
#define MIN(a, b)           ((a) < (b) ? (a) : (b))
#define MAX(a, b)           ((a) > (b) ? (a) : (b))
#define likely(condition)   __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

/* Rounds up to a multiple of `to`, a power of two. */
#define ROUND_UP(value, to) (((value) + ((to)-1)) & ~((to)-1))
