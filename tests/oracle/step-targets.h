/* SPDX-License-Identifier: MIT */
#pragma once

void step_targets_prepare(void);
void step_targets_run(void);
