/* SPDX-License-Identifier: MIT */
#include "sampler/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/macros.h"

void message(const char *format, ...) {
    static const char prefix[] = "cprof-record: ";
    char line[1024] = "cprof-record: ";
    size_t room = sizeof line - (sizeof prefix - 1) - 1; /* and a newline */
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(line + sizeof prefix - 1, room, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    size_t end = sizeof prefix - 1 + MIN((size_t)length, room - 1);
    line[end++] = '\n';
    (void)!write(STDERR_FILENO, line, end);
}
