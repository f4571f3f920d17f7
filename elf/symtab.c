/* SPDX-License-Identifier: MIT */
#include <elf.h>
#include <errno.h>

#include "elf/symbol-set.h"

struct table_symbol {
    uint32_t name;
    uint8_t info;
    uint16_t section;
    uint64_t value, size;
};

static struct table_symbol read_symbol(struct bytes *b, bool is_64) {
    struct table_symbol s = {.name = bytes_u32(b)};
    if (!is_64) {
        s.value = bytes_u32(b);
        s.size = bytes_u32(b);
    }
    s.info = bytes_u8(b);
    bytes_skip(b, 1); /* visibility */
    s.section = bytes_u16(b);
    if (is_64) {
        s.value = bytes_u64(b);
        s.size = bytes_u64(b);
    }
    return s;
}

/* Functions, and untyped labels in code (hand-written assembly forgets its types), but no compiler's local labels. */
static bool is_wanted(const struct table_symbol *s, const struct elf_section_header *section, const char *name) {
    unsigned type = ELF64_ST_TYPE(s->info);
    if (!s->value || !name || !*name)
        return false;
    if (type == STT_FUNC || type == STT_GNU_IFUNC)
        return true;
    return type == STT_NOTYPE && section && (section->flags & SHF_EXECINSTR) && name[0] != '$' && strncmp(name, ".L", 2) != 0;
}

int elf_symbol_set_add_table(struct elf_symbol_set *set, struct elf_image *image, const char *section_name) {
    int index = elf_image_section_index(image, section_name);
    struct elf_section table, strings;
    if (index < 0 || elf_image_section_at(image, (size_t)index, &table) < 0 || image->sections[index].link >= image->section_count ||
        elf_image_section_at(image, image->sections[index].link, &strings) < 0)
        return 0;
    struct bytes b = bytes_of(table.data, table.length);
    const size_t entry = image->info.is_64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
    while (bytes_left(&b) >= entry) {
        struct table_symbol s = read_symbol(&b, image->info.is_64);
        if (s.section == SHN_UNDEF || s.section == SHN_ABS || s.section == SHN_COMMON || s.name >= strings.length)
            continue;
        struct bytes name_bytes = bytes_of(strings.data + s.name, strings.length - s.name);
        const char *name = bytes_string(&name_bytes);
        const struct elf_section_header *section = s.section < image->section_count ? &image->sections[s.section] : NULL;
        if (!is_wanted(&s, section, name))
            continue;
        const char *version = strchr(name, '@'); /* "memcpy@@GLIBC_2.14" */
        if (version && version > name) {
            uint32_t id;
            if (strings_intern(&set->names, name, (size_t)(version - name), &id) < 0)
                return -ENOMEM;
            name = strings_get(&set->names, id);
        }
        struct elf_symbol_candidate *added = vec_push(&set->items);
        if (!added)
            return -ENOMEM;
        *added = (struct elf_symbol_candidate){
            .start = s.value,
            .size = s.size,
            .name = name,
            .binding = ELF64_ST_BIND(s.info),
            .is_function = ELF64_ST_TYPE(s.info) != STT_NOTYPE,
            .limit = section && s.value - section->address < section->size ? section->address + section->size : s.value,
        };
    }
    return 0;
}
