/* SPDX-License-Identifier: MIT */
/* What the loader's threads do. Of the pipeline it touches what the job names, and nothing else. */
#pragma once

#include "pipeline/loader.h"

/* Any thread; blocks as long as files do. `root`: for debug files. */
void loader_work(const char *root, struct loader_job *job);
