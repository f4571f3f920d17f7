/* SPDX-License-Identifier: MIT */
/*
 * Holds the compiled rows of binaries against `readelf --debug-dump=frames-interp`, row by row and register by register.
 *
 *     oracle-rows FILE...        TAP; a file that is not there is skipped
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "elf/elf.h"
#include "tests/oracle/readelf.h"
#include "unwind/module.h"

DEFINE_CLEANUP(struct elf_image *, elf_image_close)
DEFINE_CLEANUP(struct unwind_module *, unwind_module_free)

enum { COLUMNS_MAX = 64, SHOWN_MAX = 10 };

struct reader {
    const struct unwind_module *module;
    int columns[COLUMNS_MAX]; /* register numbers; -1: one that the tables do not follow */
    size_t column_count;
    uint64_t last_row, end; /* of the FDE */
    uint64_t rows, wrong, is_second_section;
};

static const char *const names[UNWIND_REGISTERS] = {"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8",
                                                    "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "ra"};

static int register_number(const char *name) {
    for (int i = 0; i < UNWIND_REGISTERS; i++) {
        if (!strcmp(name, names[i]) || (i == UNWIND_PC && !strcmp(name, "rip")))
            return i;
    }
    return -1;
}

/* Column heads: LOC CFA rbx rbp ... ra */
static void read_head(struct reader *r, char *line) {
    char *save = NULL;
    r->column_count = 0;
    strtok_r(line, " \n", &save);
    strtok_r(NULL, " \n", &save);
    for (char *name; (name = strtok_r(NULL, " \n", &save)) && r->column_count < COLUMNS_MAX;)
        r->columns[r->column_count++] = register_number(name);
}

static void write_cfa(const struct rule *rule, char *to, size_t size) {
    if (rule->cfa.kind == LOCATION_REGISTER)
        snprintf(to, size, "%s%+d", names[rule->cfa.source], rule->cfa.offset);
    else
        snprintf(to, size, "exp");
}

static struct location location_of(const struct reader *r, const struct rule *rule, unsigned number) {
    for (unsigned i = 0; i < rule->hot.register_count; i++) {
        const struct rule_register *entry = &r->module->rules.registers.items[rule->hot.first_register + i];
        if (entry->target == number)
            return entry->location;
    }
    return number == UNWIND_PC ? (struct location){.kind = LOCATION_CFA, .offset = -8} : (struct location){.kind = LOCATION_SAME};
}

static void write_register(struct location location, char *to, size_t size) {
    switch (location.kind) {
    case LOCATION_CFA:
        snprintf(to, size, "c%+d", location.offset);
        break;
    case LOCATION_CFA_VALUE:
        snprintf(to, size, "v%+d", location.offset);
        break;
    case LOCATION_REGISTER:
        snprintf(to, size, "%s", location.offset ? "vexp" : names[location.source]);
        break;
    case LOCATION_EXPRESSION_VALUE:
        snprintf(to, size, "vexp");
        break;
    case LOCATION_MEMORY:
    case LOCATION_EXPRESSION:
        snprintf(to, size, "exp");
        break;
    default:
        snprintf(to, size, "u");
        break;
    }
}

/* readelf says u for undefined, for unspecified and for a register that the CIE alone names; s for the same value. */
static bool is_same_register(const char *wanted, const char *got, struct location location) {
    bool is_nothing = !strcmp(wanted, "u") || !strcmp(wanted, "s");
    return is_nothing ? location.kind == LOCATION_SAME || !strcmp(got, "u") : !strcmp(wanted, got);
}

static void complain(struct reader *r, const char *line) {
    if (r->wrong++ < SHOWN_MAX)
        printf("# differs: %s", line);
}

/* A register in a register is two words: "r5 (rdi)". */
static const char *next_cell(char **save) {
    char *cell = strtok_r(NULL, " \n", save);
    if (!cell || **save != '(')
        return cell;
    cell = strtok_r(NULL, " ()\n", save);
    while (**save == ')')
        (*save)++;
    return cell;
}

static void read_row(struct reader *r, const char *line) {
    char copy[4096], text[64], *save = NULL;
    snprintf(copy, sizeof copy, "%s", line);
    uint64_t pc = strtoull(strtok_r(copy, " \n", &save), NULL, 16);
    const char *cfa = strtok_r(NULL, " \n", &save);
    if (!cfa || pc >= r->end)
        return;
    r->rows++;
    const struct rule *rule = module_find_rule(r->module, pc);
    if (rule->hot.form != RULE_END) {
        write_cfa(rule, text, sizeof text);
        if (rule->hot.form == RULE_NONE || strcmp(text, cfa)) {
            complain(r, line);
            return;
        }
    }
    for (size_t i = 0; i < r->column_count; i++) {
        const char *wanted = next_cell(&save);
        if (!wanted)
            return;
        if (r->columns[i] < 0)
            continue;
        if (rule->hot.form == RULE_END) {
            if (r->columns[i] == UNWIND_PC && strcmp(wanted, "u"))
                complain(r, line);
            continue;
        }
        struct location location = location_of(r, rule, (unsigned)r->columns[i]);
        write_register(location, text, sizeof text);
        if (!is_same_register(wanted, text, location)) {
            complain(r, line);
            return;
        }
    }
}

static void read_line(struct reader *r, char *line) {
    const char *range = strstr(line, " pc=");
    if (strstr(line, " FDE ") && range) {
        char *rest;
        strtoull(range + 4, &rest, 16);
        r->end = strtoull(rest + 2, NULL, 16);
    } else if (strstr(line, " CIE ")) {
        r->end = 0;
    } else if (!strncmp(line, "   LOC ", 7)) {
        read_head(r, line);
    } else if (strspn(line, "0123456789abcdef") == 16 && line[16] == ' ' && r->end) {
        read_row(r, line);
    }
}

static int compare(const char *path, struct reader *r) {
    _cleanup_(elf_image_close_cleanup) struct elf_image *image = NULL;
    _cleanup_(unwind_module_free_cleanup) struct unwind_module *module = NULL;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -ENOENT;
    int error = elf_image_open(fd, &image);
    if (error == 0)
        error = unwind_module_build(image, NULL, &module);
    if (error < 0)
        return error;
    r->module = module;

    _cleanup_fclose_ FILE *text = NULL;
    char line[4096];
    pid_t child;
    error = readelf_start(path, &text, &child);
    if (error < 0)
        return error;
    while (fgets(line, sizeof line, text))
        read_line(r, line);
    waitpid(child, NULL, 0); /* readelf's status is no judgement of ours: a warning makes it 1 */
    const struct unwind_module_info *info = unwind_module_info(module);
    printf("# %s: %" PRIu64 " FDEs (%" PRIu64 " skipped), %" PRIu64 " rows in tables, %" PRIu64 " rules, %" PRIu64
           " rows for libunwind, %.2f bytes a row; %" PRIu64 " rows compared, %" PRIu64 " differ\n",
           path, info->fdes, info->skipped_fdes, info->rows, info->rules, info->libunwind_rows,
           info->rows ? (double)info->bytes / (double)info->rows : 0, r->rows, r->wrong);
    return r->rows > 0 && r->wrong == 0 ? 0 : -EBADMSG;
}

int main(int argc, char **argv) {
    int failures = 0;
    for (int i = 1; i < argc; i++) {
        struct reader reader = {0};
        int r = compare(argv[i], &reader);
        bool is_missing = r == -ENOENT;
        failures += r < 0 && !is_missing;
        printf("%sok %d - rows of %s%s\n", r < 0 && !is_missing ? "not " : "", i, argv[i], is_missing ? " # SKIP no such file" : "");
    }
    printf("1..%d\n", argc - 1);
    return failures != 0;
}
