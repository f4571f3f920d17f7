/* SPDX-License-Identifier: MIT */
/*
 * cprof-record --from perf.data: what perf recorded, unwound, named and written on the same road as a recording of our own.
 *
 * The processes are gone, so there is no live memory to continue a cut stack from; modules are found by path below --symfs, by their
 * build-ids where perf.data knows them, else by inode, which only this machine's can have.
 */
#pragma once

#include "sampler/options.h"

/* The exit status. Ctrl-C while names are looked up leaves them out. */
int import_run(const struct options *options);
