/* SPDX-License-Identifier: MIT */
/* The chunks of scopes, read: docs/FORMAT.md "Scopes". Private to the room. */
#pragma once

#include "base/bytes.h"
#include "recording/recording.h"

/* As the readers of tables.c: rows of the payload to the recording's tables. NULL, or what is wrong. */
const char *scope_tables_sites(struct recording *r, struct bytes *b);
const char *scope_tables_scopes(struct recording *r, struct bytes *b);
const char *scope_tables_nodes(struct recording *r, struct bytes *b);
const char *scope_tables_paths(struct recording *r, struct bytes *b);
const char *scope_tables_instances(struct recording *r, struct bytes *b);

/* When all is read: adds up the rows of equal (thread, site) and (thread, node). 0 or -ENOMEM. */
int scope_tables_merge(struct recording *r);
