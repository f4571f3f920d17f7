/* SPDX-License-Identifier: MIT */
/* cprof-record: runs a command and records where its time goes. See docs/man/cprof-record.1. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "sampler/import.h"
#include "sampler/options.h"
#include "sampler/recorder.h"

/* If a standard stream is closed, its number must not go to a ring or to the recording, which messages would then be written to. The
 * command finds it closed, as we did. */
static void occupy_standard_streams(void) {
    int fd;
    while ((fd = open("/dev/null", O_RDWR | O_CLOEXEC)) >= 0 && fd <= STDERR_FILENO)
        ;
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv) {
    occupy_standard_streams();
    struct options options;
    switch (options_parse(argc, argv, &options)) {
    case OPTIONS_DONE:
        return EXIT_SUCCESS;
    case OPTIONS_BAD:
        return 125;
    case OPTIONS_RUN:
        break;
    }
    return options.from ? import_run(&options) : recorder_run(&options);
}
