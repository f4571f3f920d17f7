/* SPDX-License-Identifier: MIT */
#include "unwind/memory.h"

enum { PAGE = 4096, FIRST_PIECE = 16 * 1024 };

static int read_piece(struct memory *m, uint64_t address, uint64_t length) {
    enum unwind_source source = UNWIND_FROM_LIVE;
    int r = m->space->read(m->space->context, address, m->piece, (size_t)length, &source);
    if (r < 0)
        return r;
    m->piece_base = address;
    m->piece_length = length;
    m->piece_source = source;
    return 0;
}

/* Stacks are read outwards; near a mapping's end only the rest of the page may be there. */
static int fetch(struct memory *m, uint64_t address, size_t length) {
    if (!m->space->read || !m->piece)
        return -EFAULT;
    uint64_t wanted = MAX(m->next_length, (uint64_t)FIRST_PIECE);
    uint64_t rest_of_page = PAGE - address % PAGE;
    if (read_piece(m, address, wanted) == 0) {
        m->next_length = MIN(wanted * 2, (uint64_t)MEMORY_PIECE);
        return 0;
    }
    m->next_length = 0;
    if (rest_of_page >= length && read_piece(m, address, rest_of_page) == 0)
        return 0;
    return read_piece(m, address, length) == 0 ? 0 : -EFAULT;
}

int memory_read_beyond(struct memory *m, uint64_t address, void *to, size_t length) {
    uint64_t offset = address - m->piece_base;
    if (m->is_held && address + length > m->base + m->length)
        return -EAGAIN;
    if (offset >= m->piece_length || m->piece_length - offset < length) {
        if (fetch(m, address, length) < 0) {
            m->missing = address;
            return -EFAULT;
        }
        offset = 0;
    }
    m->used_live |= m->piece_source == UNWIND_FROM_LIVE;
    memcpy(to, m->piece + offset, length);
    return 0;
}
