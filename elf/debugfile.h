/* SPDX-License-Identifier: MIT */
/* Where debug files lie; private to elf/. */
#pragma once

#include "elf/image.h"

/* Opens a path without ever waiting for it; only regular files are taken. */
int elf_image_open_path(const char *path, struct elf_image **ret);

/* root/usr/lib/debug/.build-id/xx/yyyy.debug */
int elf_debug_path_of_build_id(const char *root, const struct elf_build_id *id, char *ret_path, size_t capacity);
