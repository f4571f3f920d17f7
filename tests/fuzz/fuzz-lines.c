/* SPDX-License-Identifier: MIT */
/*
 * DWARF as it is read for lines and inlines: a small ELF file around the sections that the input brings.
 *
 *     u16 length of .debug_info, of .debug_abbrev; 0: those below. These two; the rest is .debug_line
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "elf/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT = 0x1000, TEXT_BYTES = 0x100, TEXT_OFFSET = 0x1000, CHAIN_MAX = 8 };
enum { NONE, TEXT_SECTION, INFO, ABBREV, LINE, STRINGS, NAMES, SECTIONS };

/* DWARF 4 section 7.5: a unit over all of .text (lines, low_pc, high_pc, name), in it f (low_pc, high_pc, name), into whose second half g
 * is inlined (origin, low_pc, high_pc, file and line of the call), and g. */
static const uint8_t own_info[] = "\x41\0\0\0\4\0\0\0\0\0\x8"
                                  "\1\0\0\0\0\0\x10\0\0\0\0\0\0\0\1\0\0u\0"
                                  "\2\0\x10\0\0\0\0\0\0\0\1\0\0f\0"
                                  "\3\x41\0\0\0\x80\x10\0\0\0\0\0\0\x80\0\0\0\1\7\0"
                                  "\4g\0\0";
static const uint8_t own_abbrev[] = "\1\x11\1\x10\x17\x11\1\x12\6\3\x8\0\0"
                                    "\2\x2e\1\x11\1\x12\6\3\x8\0\0"
                                    "\3\x1d\0\x31\x13\x11\1\x12\6\x58\xb\x59\xb\0\0"
                                    "\4\x2e\0\3\x8\0\0\0";
static const char strings[] = "/folder\0file.c\0other.c";
static const char names[] = "\0.text\0.debug_info\0.debug_abbrev\0.debug_line\0.debug_line_str\0.shstrtab";

static Elf64_Shdr put_section(struct buffer *file, const char *name, uint32_t type, const void *data, size_t length) {
    const char *at = memmem(names, sizeof names, name, strlen(name) + 1);
    Elf64_Shdr section = {
        .sh_name = (uint32_t)(at - names), .sh_type = type, .sh_offset = file->length, .sh_size = length, .sh_addralign = 1};
    buffer_put(file, data, length);
    return section;
}

/* Header, a text segment of zeros, sections, their table. */
static void make_file(struct buffer *file, struct bytes info, struct bytes abbrev, struct bytes line) {
    static const uint8_t text[TEXT_OFFSET + TEXT_BYTES];
    Elf64_Ehdr header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                         .e_type = ET_EXEC,
                         .e_machine = EM_X86_64,
                         .e_version = EV_CURRENT,
                         .e_phoff = sizeof header,
                         .e_ehsize = sizeof header,
                         .e_phentsize = sizeof(Elf64_Phdr),
                         .e_phnum = 1,
                         .e_shentsize = sizeof(Elf64_Shdr),
                         .e_shnum = SECTIONS,
                         .e_shstrndx = NAMES};
    const Elf64_Phdr segment = {.p_type = PT_LOAD,
                                .p_flags = PF_R | PF_X,
                                .p_offset = TEXT_OFFSET,
                                .p_vaddr = TEXT,
                                .p_filesz = TEXT_BYTES,
                                .p_memsz = TEXT_BYTES,
                                .p_align = 0x1000};
    Elf64_Shdr sections[SECTIONS] = {{0}};
    buffer_put(file, &header, sizeof header);
    buffer_put(file, &segment, sizeof segment);
    buffer_put(file, text, sizeof text - file->length);
    sections[TEXT_SECTION] = (Elf64_Shdr){.sh_name = 1,
                                          .sh_type = SHT_PROGBITS,
                                          .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
                                          .sh_addr = TEXT,
                                          .sh_offset = TEXT_OFFSET,
                                          .sh_size = TEXT_BYTES,
                                          .sh_addralign = 16};
    sections[INFO] = put_section(file, ".debug_info", SHT_PROGBITS, info.at, bytes_left(&info));
    sections[ABBREV] = put_section(file, ".debug_abbrev", SHT_PROGBITS, abbrev.at, bytes_left(&abbrev));
    sections[LINE] = put_section(file, ".debug_line", SHT_PROGBITS, line.at, bytes_left(&line));
    sections[STRINGS] = put_section(file, ".debug_line_str", SHT_PROGBITS, strings, sizeof strings);
    sections[NAMES] = put_section(file, ".shstrtab", SHT_STRTAB, names, sizeof names);
    static const uint8_t padding[8];
    buffer_put(file, padding, -file->length & 7);
    header.e_shoff = file->length;
    buffer_put(file, sections, sizeof sections);
    memcpy(file->data, &header, sizeof header);
}

static void read_lines(struct elf_image *image) {
    static volatile size_t sink;
    struct elf_lines *lines;
    if (elf_lines_open(image, NULL, NULL, &lines) < 0)
        return;
    for (uint64_t svma = TEXT - 8; svma < TEXT + TEXT_BYTES + 8; svma += 4) {
        struct elf_line chain[CHAIN_MAX];
        int count = elf_lines_find(lines, svma, chain, svma % 3 ? CHAIN_MAX : 1);
        if (count > CHAIN_MAX)
            abort();
        for (int i = 0; i < count; i++)
            sink = sink + (chain[i].function ? strlen(chain[i].function) : 0) + (chain[i].file ? strlen(chain[i].file) : 0);
    }
    elf_lines_close(lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bytes input = bytes_of(data, size);
    uint16_t info_length = bytes_u16(&input), abbrev_length = bytes_u16(&input);
    struct bytes info = info_length ? bytes_sub(&input, info_length) : bytes_of(own_info, sizeof own_info);
    struct bytes abbrev = abbrev_length ? bytes_sub(&input, abbrev_length) : bytes_of(own_abbrev, sizeof own_abbrev);
    struct buffer file = {0};
    struct elf_image *image;
    if (input.failed)
        return 0;
    make_file(&file, info, abbrev, input);
    if (!file.failed && elf_image_open_memory(file.data, file.length, &image) >= 0) {
        read_lines(image);
        elf_image_close(image);
    }
    buffer_free(&file);
    return 0;
}
