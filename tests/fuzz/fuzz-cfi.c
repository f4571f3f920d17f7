/* SPDX-License-Identifier: MIT */
/* The content of one .eh_frame or .debug_frame section, behind a byte that says what kind it is. */
#include <errno.h>
#include <stdlib.h>

#include "elf/cfi-entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IS_EH = 1, IS_64 = 2, ENDS_AT_ZERO = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size)
        return 0;
    const struct elf_cfi_section section = {.data = data + 1,
                                            .length = size - 1,
                                            .address = 0x400000,
                                            .is_eh = data[0] & IS_EH,
                                            .is_64 = data[0] & IS_64,
                                            .ends_at_zero = data[0] & ENDS_AT_ZERO};
    struct elf_cfi_cies cies = {0};
    static volatile uint8_t sink;
    size_t offset = 0;
    for (;;) {
        struct elf_cfi_fde fde;
        const size_t before = offset;
        int r = elf_cfi_entry(&section, &cies, &offset, &fde);
        if (r == -ENODATA)
            break;
        if (offset <= before || offset > section.length || (r > 0 && fde.start >= fde.end))
            abort();
        while (r > 0 && !bytes_empty(&fde.instructions))
            sink = sink + bytes_u8(&fde.instructions);
    }
    elf_cfi_cies_free(&cies);
    return 0;
}
