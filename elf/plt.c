/* SPDX-License-Identifier: MIT */
/*
 * Names for PLT entries: an entry jumps through a GOT slot, and the relocation of that slot names the function.
 *
 * The slot is read from the entry's own instructions rather than counted from the entry's position, so that the PLTs of ld, gold, lld and
 * mold, lazy or not, with or without IBT, are all served. Shapes of x86-64 (psABI 1.0, section 5.2 and appendix B):
 *
 *     [endbr64] [mov $n, %r11d] [bnd] jmp *slot(%rip)         .plt, .plt.got, .plt.sec, mold's .plt
 *     [endbr64] push $n; [bnd] jmp PLT0                       the lazy half where .plt.sec does the jumping: n counts .rela.plt
 */
#include "elf/plt.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>

#include "base/vec.h"

/* ---- relocations of the GOT ------------------------------------------------------------------------------------------------------ */

struct slot {
    uint64_t address;
    const char *name;
};

struct slots {
    VEC(struct slot) by_address; /* every named slot, sorted */
    VEC(const char *) lazy;      /* names in the order of .rela.plt; NULL for the nameless */
};

/* The symbol table that relocations count in, and its strings; empty in static programs, whose IRELATIVE relocations need none. */
struct names {
    struct elf_section symbols, strings;
};

static struct names read_names(struct elf_image *image, uint32_t index) {
    struct names names;
    if (index < image->section_count && elf_image_section_at(image, index, &names.symbols) >= 0 &&
        image->sections[index].link < image->section_count && elf_image_section_at(image, image->sections[index].link, &names.strings) >= 0)
        return names;
    return (struct names){0};
}

static const char *symbol_name(const struct names *names, uint64_t index) {
    uint32_t offset;
    if (index >= names->symbols.length / sizeof(Elf64_Sym))
        return NULL;
    memcpy(&offset, names->symbols.data + index * sizeof(Elf64_Sym), sizeof offset); /* st_name comes first */
    if (offset >= names->strings.length)
        return NULL;
    struct bytes b = bytes_of(names->strings.data + offset, names->strings.length - offset);
    const char *name = bytes_string(&b);
    return name && *name ? name : NULL;
}

static const char *relocation_name(const struct names *names, uint64_t info, uint64_t addend, const struct elf_symbols *symbols) {
    switch (ELF64_R_TYPE(info)) {
    case R_X86_64_JUMP_SLOT:
    case R_X86_64_GLOB_DAT:
        return symbol_name(names, ELF64_R_SYM(info));
    case R_X86_64_IRELATIVE: { /* the addend is the resolver, which has the function's own name */
        const struct elf_symbol *resolver = elf_symbols_find(symbols, addend);
        return resolver && resolver->start == addend ? resolver->name : NULL;
    }
    default:
        return NULL;
    }
}

static int read_relocations(struct elf_image *image, size_t index, const struct elf_symbols *symbols, struct slots *slots) {
    struct elf_section section;
    const struct names names = read_names(image, image->sections[index].link);
    if (elf_image_section_at(image, index, &section) < 0)
        return 0;
    bool is_lazy = !strcmp(image->sections[index].name, ".rela.plt");
    struct bytes b = bytes_of(section.data, section.length);
    while (bytes_left(&b) >= sizeof(Elf64_Rela)) {
        uint64_t address = bytes_u64(&b), info = bytes_u64(&b), addend = bytes_u64(&b);
        const char *name = relocation_name(&names, info, addend, symbols);
        if (is_lazy) {
            const char **lazy = vec_push(&slots->lazy);
            if (!lazy)
                return -ENOMEM;
            *lazy = name;
        }
        struct slot *slot = name ? vec_push(&slots->by_address) : NULL;
        if (name && !slot)
            return -ENOMEM;
        if (slot)
            *slot = (struct slot){address, name};
    }
    return 0;
}

static int compare_slots(const void *a, const void *b) {
    const struct slot *x = a, *y = b;
    return x->address < y->address ? -1 : x->address > y->address;
}

static int read_slots(struct elf_image *image, const struct elf_symbols *symbols, struct slots *slots) {
    for (size_t i = 0; i < image->section_count; i++) {
        int r = image->sections[i].type == SHT_RELA ? read_relocations(image, i, symbols, slots) : 0;
        if (r < 0)
            return r;
    }
    if (slots->by_address.count)
        qsort(slots->by_address.items, slots->by_address.count, sizeof *slots->by_address.items, compare_slots);
    return 0;
}

static const char *slot_name(const struct slots *slots, uint64_t address) {
    if (!slots->by_address.count)
        return NULL;
    const struct slot key = {.address = address};
    const struct slot *slot =
        bsearch(&key, slots->by_address.items, slots->by_address.count, sizeof *slots->by_address.items, compare_slots);
    return slot ? slot->name : NULL;
}

/* ---- entries --------------------------------------------------------------------------------------------------------------------- */

static bool take_if(struct bytes *b, const void *wanted, size_t length) {
    if (bytes_left(b) < length || memcmp(b->at, wanted, length))
        return false;
    bytes_skip(b, length);
    return true;
}

/* The function that the entry whose code starts at `b`, svma `address`, leads to; NULL if this is no entry. */
static const char *entry_name(struct bytes b, uint64_t address, const struct slots *slots) {
    const uint8_t *first = b.at;
    take_if(&b, "\xf3\x0f\x1e\xfa", 4); /* endbr64 */
    if (take_if(&b, "\x68", 1)) {       /* push $n */
        uint32_t n = bytes_u32(&b);
        return !b.failed && n < slots->lazy.count ? slots->lazy.items[n] : NULL;
    }
    if (take_if(&b, "\x41\xbb", 2)) /* mov $n, %r11d */
        bytes_skip(&b, 4);
    take_if(&b, "\xf2", 1);          /* bnd */
    if (!take_if(&b, "\xff\x25", 2)) /* jmp *displacement(%rip) */
        return NULL;
    uint64_t displacement = (uint64_t)(int64_t)bytes_s32(&b);
    return b.failed ? NULL : slot_name(slots, address + (uint64_t)(b.at - first) + displacement);
}

static int read_plt(struct elf_image *image, size_t index, const struct slots *slots, struct elf_plt *plt) {
    enum { STEP = 8, ENTRY = 16 };
    struct elf_section section;
    if (elf_image_section_at(image, index, &section) < 0)
        return 0;
    const size_t entry_size = image->sections[index].entry_size == STEP ? STEP : ENTRY;
    for (size_t at = 0; at < section.length;) {
        const char *name = entry_name(bytes_of(section.data + at, section.length - at), section.address + at, slots);
        if (!name) {
            at += STEP;
            continue;
        }
        struct elf_plt_entry *entry = vec_push(&plt->items);
        if (!entry)
            return -ENOMEM;
        *entry = (struct elf_plt_entry){section.address + at, section.address + at + MIN(entry_size, section.length - at), name};
        at += entry_size;
    }
    return 0;
}

int elf_plt_find(struct elf_image *image, const struct elf_symbols *symbols, struct elf_plt *plt) {
    if (image->info.machine != EM_X86_64 || !image->info.is_64)
        return 0;
    struct slots slots = {0};
    int r = read_slots(image, symbols, &slots);
    for (size_t i = 0; r >= 0 && i < image->section_count; i++) {
        const struct elf_section_header *h = &image->sections[i];
        if ((h->flags & SHF_EXECINSTR) && (!strncmp(h->name, ".plt", 4) || !strcmp(h->name, ".iplt")))
            r = read_plt(image, i, &slots, plt);
    }
    vec_free(&slots.by_address);
    vec_free(&slots.lazy);
    return r;
}
