/* SPDX-License-Identifier: MIT */
#include "tests/oracle/arbiter.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "tests/oracle/readelf.h"

enum { CFA = UNWIND_REGISTERS, COLUMNS_MAX = 64 };

/* One column of a row: how to find a register of the caller, or the CFA. */
struct cell {
    uint8_t target;                                                            /* register number, or CFA */
    enum { FROM_REGISTER, IN_MEMORY, IS_CFA, UNDEFINED, EXPRESSION } kind : 8; /* source + offset, [CFA + offset], CFA + offset */
    uint8_t source;
    int32_t offset;
};

struct row {
    uint64_t pc, end; /* end: of the FDE */
    uint32_t first_cell, cell_count;
};

struct module_rows {
    uint32_t id;
    VEC(struct row) rows; /* sorted */
    VEC(struct cell) cells;
};

struct arbiter {
    VEC(struct module_rows) modules;
};

/* ---- readelf's text -------------------------------------------------------------------------------------------------------------- */

struct text {
    struct module_rows *into;
    struct map cies; /* offset -> index into starts: an FDE without instructions has its CIE's row */
    VEC(struct row) starts;
    bool is_cie;
    uint64_t fde_start, fde_end, fde_cie;
    bool is_fde_empty;
    int columns[COLUMNS_MAX]; /* register numbers; -1: one that stacks do not need */
    size_t column_count;
};

static const char *const names[UNWIND_REGISTERS] = {"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp", "r8",
                                                    "r9",  "r10", "r11", "r12", "r13", "r14", "r15", "ra"};

/* The register that `text` begins with; *ret_rest what follows it. */
static int parse_register(const char *text, const char **ret_rest) {
    size_t length = strcspn(text, "+-");
    *ret_rest = text + length;
    for (int i = 0; i < UNWIND_REGISTERS; i++) {
        if (strlen(names[i]) == length && strncmp(text, names[i], length) == 0)
            return i;
    }
    return strncmp(text, "rip", length) == 0 && length == 3 ? UNWIND_PC : -1;
}

static struct cell parse_cell(const char *text, int target) {
    const char *rest;
    struct cell cell = {.target = (uint8_t)target, .kind = EXPRESSION};
    int source = parse_register(text, &rest);
    bool has_offset = text[1] == '+' || text[1] == '-';
    if ((text[0] == 'c' || text[0] == 'v') && has_offset) {
        cell.kind = text[0] == 'c' ? IN_MEMORY : IS_CFA;
        cell.offset = (int32_t)strtol(text + 1, NULL, 10);
    } else if (text[0] == 'u' || text[0] == 's') {
        cell.kind = UNDEFINED;
    } else if (source >= 0) {
        cell.kind = FROM_REGISTER;
        cell.source = (uint8_t)source;
        cell.offset = (int32_t)strtol(rest, NULL, 10);
    }
    return cell;
}

/* LOC CFA rbx rbp ... ra */
static void read_head(struct text *t, char *line) {
    char *save = NULL;
    t->column_count = 0;
    strtok_r(line, " \n", &save);
    for (const char *name; (name = strtok_r(NULL, " \n", &save)) && t->column_count < COLUMNS_MAX;) {
        const char *rest;
        t->columns[t->column_count] = t->column_count ? parse_register(name, &rest) : CFA;
        t->column_count++;
    }
}

static void read_row(struct text *t, char *line) {
    char *save = NULL;
    struct row row = {
        .pc = strtoull(strtok_r(line, " \n", &save), NULL, 16), .end = t->fde_end, .first_cell = (uint32_t)t->into->cells.count};
    for (size_t i = 0; i < t->column_count; i++) {
        const char *text = strtok_r(NULL, " \n", &save);
        if (text && *save == '(') /* a register in a register is two words: "r5 (rdi)" */
            text = strtok_r(NULL, " ()\n", &save);
        struct cell *cell = text && t->columns[i] >= 0 ? vec_push(&t->into->cells) : NULL;
        if (!cell)
            continue;
        *cell = parse_cell(text, t->columns[i]);
        row.cell_count++;
    }
    struct row *slot = t->is_cie ? vec_push(&t->starts) : vec_push(&t->into->rows);
    if (slot)
        *slot = row;
    t->is_fde_empty = false;
}

static void end_fde(struct text *t) {
    uint64_t *index = t->is_fde_empty ? map_find(&t->cies, t->fde_cie) : NULL;
    struct row *slot = index && *index < t->starts.count ? vec_push(&t->into->rows) : NULL;
    if (slot) {
        *slot = t->starts.items[*index];
        slot->pc = t->fde_start;
        slot->end = t->fde_end;
    }
    t->is_fde_empty = false;
}

static void begin_cie(struct text *t, const char *line) {
    bool is_new;
    uint64_t *index = map_put(&t->cies, strtoull(line, NULL, 16), &is_new);
    if (index)
        *index = t->starts.count;
    t->is_cie = true;
}

static void read_line(struct text *t, char *line) {
    const char *range = strstr(line, " pc="), *cie = strstr(line, " cie=");
    bool is_fde = strstr(line, " FDE ") && range && cie;
    if (is_fde || strstr(line, " CIE "))
        end_fde(t);
    if (is_fde) {
        char *rest;
        t->is_cie = false;
        t->fde_cie = strtoull(cie + 5, NULL, 16);
        t->fde_start = strtoull(range + 4, &rest, 16);
        t->fde_end = strtoull(rest + 2, NULL, 16);
        t->is_fde_empty = true;
    } else if (strstr(line, " CIE ")) {
        begin_cie(t, line);
    } else if (strncmp(line, "   LOC ", 7) == 0) {
        read_head(t, line);
    } else if (strspn(line, "0123456789abcdef") == 16 && line[16] == ' ') {
        read_row(t, line);
    }
}

static int by_pc(const void *a, const void *b) {
    const struct row *x = a, *y = b;
    return (x->pc > y->pc) - (x->pc < y->pc);
}

static void load(const struct process_module *module, struct module_rows *into) {
    _cleanup_fclose_ FILE *file = NULL;
    char line[4096];
    pid_t child;
    if (readelf_start(module->path, &file, &child) < 0)
        return;
    struct text text = {.into = into};
    while (fgets(line, sizeof line, file))
        read_line(&text, line);
    end_fde(&text);
    waitpid(child, NULL, 0);
    map_free(&text.cies);
    vec_free(&text.starts);
    qsort(into->rows.items, into->rows.count, sizeof *into->rows.items, by_pc);
}

/* ---- judging --------------------------------------------------------------------------------------------------------------------- */

static const struct module_rows *rows_of(struct arbiter *arbiter, const struct process_module *module) {
    for (size_t i = 0; i < arbiter->modules.count; i++) {
        if (arbiter->modules.items[i].id == module->id)
            return &arbiter->modules.items[i];
    }
    struct module_rows *rows = vec_push(&arbiter->modules);
    if (!rows)
        return NULL;
    rows->id = module->id;
    load(module, rows);
    return rows;
}

static const struct row *find_row(const struct module_rows *rows, uint64_t svma) {
    size_t low = 0, high = rows->rows.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (rows->rows.items[middle].pc <= svma)
            low = middle + 1;
        else
            high = middle;
    }
    return low && svma < rows->rows.items[low - 1].end ? &rows->rows.items[low - 1] : NULL;
}

/* The value of one cell; false: it cannot be told. */
static bool evaluate(const struct replay_scene *scene, const struct unwind_registers *from, uint64_t cfa, const struct cell *cell,
                     uint64_t *ret) {
    *ret = cfa + (uint64_t)(int64_t)cell->offset;
    if (cell->kind == IN_MEMORY)
        return replay_read(scene, *ret, ret, sizeof *ret) == 0;
    if (cell->kind == FROM_REGISTER)
        *ret = from->value[cell->source] + (uint64_t)(int64_t)cell->offset;
    return cell->kind == IS_CFA || (cell->kind == FROM_REGISTER && from->valid >> cell->source & 1);
}

static const struct cell *find_cell(const struct module_rows *rows, const struct row *row, unsigned target) {
    for (uint32_t i = 0; i < row->cell_count; i++) {
        if (rows->cells.items[row->first_cell + i].target == target)
            return &rows->cells.items[row->first_cell + i];
    }
    return NULL;
}

static enum arbiter_answer leave(const struct replay_scene *scene, const struct module_rows *rows, const struct row *row,
                                 struct unwind_registers *registers, char *text, size_t text_size) {
    const struct cell *by_cfa = find_cell(rows, row, CFA), *returns = find_cell(rows, row, UNWIND_PC);
    struct unwind_registers from = *registers;
    uint64_t cfa, value;
    if (returns && returns->kind == UNDEFINED) {
        snprintf(text, text_size, "ra u");
        return ARBITER_END;
    }
    if (!by_cfa || by_cfa->kind != FROM_REGISTER || !returns || returns->kind != IN_MEMORY) {
        snprintf(text, text_size, "exp");
        return ARBITER_EXPRESSION;
    }
    snprintf(text, text_size, "%s%+d, ra c%+d", names[by_cfa->source], by_cfa->offset, returns->offset);
    if (!evaluate(scene, &from, 0, by_cfa, &cfa) || !evaluate(scene, &from, cfa, returns, &value))
        return ARBITER_UNREADABLE;
    size_t length = strlen(text);
    snprintf(text + length, text_size - length, ", [%" PRIx64 "] = %" PRIx64, cfa + (uint64_t)(int64_t)returns->offset, value);
    registers->value[UNWIND_RSP] = cfa;
    for (uint32_t i = 0; i < row->cell_count; i++) {
        const struct cell *cell = &rows->cells.items[row->first_cell + i];
        if (cell->target == CFA || cell->kind == UNDEFINED)
            continue;
        registers->valid &= ~((uint32_t)1 << cell->target);
        if (evaluate(scene, &from, cfa, cell, &value)) {
            registers->value[cell->target] = value;
            registers->valid |= (uint32_t)1 << cell->target;
        }
    }
    const struct cell *rax = find_cell(rows, row, 0);
    return rax && rax->kind == IN_MEMORY ? ARBITER_LANDING : ARBITER_RETURNS;
}

enum arbiter_answer arbiter_step(struct arbiter *arbiter, const struct replay_scene *scene, const struct unwind_frame *frame,
                                 struct unwind_registers *registers, char *text, size_t text_size) {
    uint64_t bias, svma = frame->address - (frame->flags & FRAME_FLAG_RETURN ? 1 : 0);
    const struct replay_module *module = replay_find(scene, frame->pc, &bias);
    const struct module_rows *rows = module ? rows_of(arbiter, module->module) : NULL;
    const struct row *row = rows ? find_row(rows, svma) : NULL;
    snprintf(text, text_size, module ? "no row" : "no module");
    return row ? leave(scene, rows, row, registers, text, text_size) : ARBITER_NO_ROW;
}

/* ---------------------------------------------------------------------------------------------------------------------------------- */

int arbiter_new(struct arbiter **ret) {
    *ret = calloc(1, sizeof **ret);
    return *ret ? 0 : -ENOMEM;
}

void arbiter_free(struct arbiter *arbiter) {
    for (size_t i = 0; i < arbiter->modules.count; i++) {
        vec_free(&arbiter->modules.items[i].rows);
        vec_free(&arbiter->modules.items[i].cells);
    }
    vec_free(&arbiter->modules);
    free(arbiter);
}
