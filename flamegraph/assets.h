/* SPDX-License-Identifier: MIT */
/* style.css and the scripts as strings; embed.py writes assets.c from them. Private to flamegraph/. */
#pragma once

extern const char asset_style[];
extern const char asset_script[];
extern const char asset_font[];
