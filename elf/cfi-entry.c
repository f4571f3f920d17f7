/* SPDX-License-Identifier: MIT */
#include "elf/cfi-entry.h"

#include <dwarf.h>
#include <errno.h>

/* Encodings of .eh_frame (LSB Core 5.0, table 10-5 and 10-6). */
enum { PE_OMIT = 0xff, PE_FORMAT = 0x0f, PE_APPLICATION = 0x70, PE_INDIRECT = 0x80, PE_PCREL = 0x10, PE_DATAREL = 0x30 };

static uint64_t read_format(struct bytes *b, uint8_t encoding, bool is_64) {
    switch (encoding & PE_FORMAT) {
    case DW_EH_PE_absptr:
        return is_64 ? bytes_u64(b) : bytes_u32(b);
    case DW_EH_PE_uleb128:
        return bytes_uleb(b);
    case DW_EH_PE_udata2:
        return bytes_u16(b);
    case DW_EH_PE_udata4:
        return bytes_u32(b);
    case DW_EH_PE_udata8:
    case DW_EH_PE_sdata8:
        return bytes_u64(b);
    case DW_EH_PE_sleb128:
        return (uint64_t)bytes_sleb(b);
    case DW_EH_PE_sdata2:
        return (uint64_t)(int64_t)bytes_s16(b);
    case DW_EH_PE_sdata4:
        return (uint64_t)(int64_t)bytes_s32(b);
    default:
        bytes_fail(b);
        return 0;
    }
}

bool elf_cfi_pointer(struct bytes *b, uint8_t encoding, uint64_t field, uint64_t data_base, bool is_64, uint64_t *ret) {
    if (encoding == PE_OMIT || (encoding & PE_INDIRECT))
        return false;
    uint64_t base;
    switch (encoding & PE_APPLICATION) {
    case 0:
        base = 0;
        break;
    case PE_PCREL:
        base = field;
        break;
    case PE_DATAREL:
        base = data_base;
        break;
    default: /* textrel, funcrel and aligned were never used on our machines */
        return false;
    }
    uint64_t value = read_format(b, encoding, is_64) + base;
    *ret = is_64 ? value : (uint32_t)value;
    return !b->failed;
}

/* ---- CIE ------------------------------------------------------------------------------------------------------------------------- */

/* The augmentation data behind a 'z': what each letter of the string says, in order. An unknown letter hides what comes after it, but not
 * its length. */
static void read_augmentation(struct bytes b, const char *letters, bool is_64, struct elf_cfi_parsed_cie *parsed) {
    for (; *letters && !b.failed; letters++) {
        uint64_t ignored;
        uint8_t encoding;
        switch (*letters) {
        case 'L':
            bytes_skip(&b, 1);
            break;
        case 'P':
            encoding = bytes_u8(&b);
            if (encoding != PE_OMIT)
                (void)elf_cfi_pointer(&b, encoding & (PE_FORMAT | PE_APPLICATION), 0, 0, is_64, &ignored);
            break;
        case 'R':
            parsed->pointer_encoding = bytes_u8(&b);
            break;
        case 'S':
            parsed->cie.is_signal_frame = true;
            break;
        case 'B': /* aarch64: return addresses signed with the B key */
        case 'G': /* aarch64: memory tagging */
            break;
        default:
            return;
        }
    }
}

/* `b` starts behind the CIE's id. */
static bool read_cie(const struct elf_cfi_section *section, struct bytes b, struct elf_cfi_parsed_cie *parsed) {
    struct elf_cfi_cie *cie = &parsed->cie;
    cie->version = bytes_u8(&b);
    cie->address_size = section->is_64 ? 8 : 4;
    if (cie->version != 1 && cie->version != 3 && cie->version != 4)
        return false;
    const char *letters = bytes_string(&b);
    if (!letters)
        return false;
    if (cie->version == 4) {
        cie->address_size = bytes_u8(&b);
        if (bytes_u8(&b) != 0) /* segmented addresses */
            return false;
    }
    if (!strncmp(letters, "eh", 2)) { /* GCC before 3.0 */
        bytes_skip(&b, cie->address_size);
        letters += 2;
    }
    cie->code_align = bytes_uleb(&b);
    cie->data_align = bytes_sleb(&b);
    cie->return_register = cie->version == 1 ? bytes_u8(&b) : bytes_uleb(&b);
    if (*letters == 'z') {
        parsed->has_augmentation_data = true;
        read_augmentation(bytes_sub(&b, bytes_uleb(&b)), letters + 1, section->is_64, parsed);
    } else if (*letters)
        return false; /* data of unknown length follows */
    cie->instructions = b;
    return !b.failed && (cie->address_size == 8 || cie->address_size == 4);
}

/* ---- entries --------------------------------------------------------------------------------------------------------------------- */

struct entry {
    struct bytes body; /* behind the id */
    size_t id_offset;
    uint64_t id;
    bool is_cie;
};

/* -EBADMSG only if the length itself is impossible, and then nothing behind it can be found. */
static int read_entry(const struct elf_cfi_section *section, size_t offset, struct entry *ret, size_t *ret_next) {
    struct bytes b = bytes_of(section->data + offset, section->length - offset);
    uint64_t length = bytes_u32(&b);
    bool is_dwarf64 = length == UINT32_MAX;
    if (is_dwarf64)
        length = bytes_u64(&b);
    if (b.failed || length > bytes_left(&b))
        return -EBADMSG;
    *ret_next = (size_t)(b.at - section->data) + (size_t)length;
    struct entry e = {.body = bytes_sub(&b, length)};
    e.id_offset = (size_t)(e.body.at - section->data);
    if (!length) {
        *ret = e;
        return 0;
    }
    /* .eh_frame has 4-byte ids in both formats, and they count backwards from themselves to the CIE. */
    e.id = is_dwarf64 && !section->is_eh ? bytes_u64(&e.body) : bytes_u32(&e.body);
    e.is_cie = section->is_eh ? e.id == 0 : e.id == (is_dwarf64 ? UINT64_MAX : UINT32_MAX);
    *ret = e;
    return 1;
}

/* NULL when memory is out. One that is broken is remembered as such. */
static const struct elf_cfi_parsed_cie *find_cie(const struct elf_cfi_section *section, struct elf_cfi_cies *cies, size_t offset) {
    if (cies->last < cies->items.count && cies->items.items[cies->last].offset == offset)
        return &cies->items.items[cies->last];
    bool is_new;
    uint64_t *index = map_put(&cies->index, offset, &is_new);
    if (!index)
        return NULL;
    if (!is_new) {
        cies->last = (size_t)*index;
        return &cies->items.items[cies->last];
    }
    struct elf_cfi_parsed_cie *added = vec_push(&cies->items);
    if (!added) {
        map_remove(&cies->index, offset);
        return NULL;
    }
    *index = cies->last = cies->items.count - 1;
    added->offset = offset;
    struct entry entry;
    size_t next;
    added->is_good =
        offset < section->length && read_entry(section, offset, &entry, &next) == 1 && entry.is_cie && read_cie(section, entry.body, added);
    return added;
}

void elf_cfi_cies_free(struct elf_cfi_cies *cies) {
    vec_free(&cies->items);
    map_free(&cies->index);
}

static int read_fde(const struct elf_cfi_section *section, const struct elf_cfi_parsed_cie *parsed, struct bytes b,
                    struct elf_cfi_fde *ret) {
    const bool is_64 = parsed->cie.address_size == 8;
    uint64_t start, size;
    uint64_t field = section->address + (uint64_t)(b.at - section->data);
    if (!elf_cfi_pointer(&b, parsed->pointer_encoding, field, 0, is_64, &start))
        return -EBADMSG;
    size = read_format(&b, parsed->pointer_encoding & PE_FORMAT, is_64);
    if (parsed->has_augmentation_data)
        bytes_skip(&b, bytes_uleb(&b));
    if (b.failed || size > UINT64_MAX - start)
        return -EBADMSG;
    *ret = (struct elf_cfi_fde){.cie = &parsed->cie, .start = start, .end = start + size, .instructions = b};
    return start && size;
}

int elf_cfi_entry(const struct elf_cfi_section *section, struct elf_cfi_cies *cies, size_t *offset, struct elf_cfi_fde *ret) {
    if (section->length - *offset < 4)
        return -ENODATA;
    struct entry entry;
    size_t next;
    int r = read_entry(section, *offset, &entry, &next);
    if (r < 0) {
        *offset = section->length;
        return r;
    }
    *offset = r == 0 && section->ends_at_zero ? section->length : next;
    if (r == 0 || entry.is_cie)
        return 0; /* a zero length also separates the inputs of some linkers */
    uint64_t cie_offset = section->is_eh ? entry.id_offset - entry.id : entry.id;
    const struct elf_cfi_parsed_cie *parsed = cie_offset < section->length ? find_cie(section, cies, (size_t)cie_offset) : NULL;
    return parsed && parsed->is_good ? read_fde(section, parsed, entry.body, ret) : -EBADMSG;
}
