/* SPDX-License-Identifier: MIT */
/* The functions of libmany.so. */
#pragma once

#define EACH_OF_MANY(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

#define DECLARE_ONE_OF_MANY(n) void many_##n(void);
EACH_OF_MANY(DECLARE_ONE_OF_MANY)
