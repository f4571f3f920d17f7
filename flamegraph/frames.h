/* SPDX-License-Identifier: MIT */
/* The static picture's frames. Private to flamegraph/. */
#pragma once

#include "flamegraph/colors.h"
#include "flamegraph/layout.h"
#include "flamegraph/xml.h"

/* A drawing under way. */
struct svg {
    struct xml_output *output;
    const struct flamegraph_options *options;
    const struct layout *layout;
    const struct colors *colors;
    double px;     /* a unit of weight in px */
    double top;    /* y of the first row */
    double height; /* of the picture */
};

/* <g id="frames">: all that is wide enough, each as <g><title/><rect/><text/></g>. 0 or -ENOMEM; errors of the output stay in it. */
int frames_put(const struct svg *svg);
