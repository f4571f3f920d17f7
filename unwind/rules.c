/* SPDX-License-Identifier: MIT */
#include "unwind/rules.h"

#include <errno.h>
#include <string.h>

#include "base/map.h"
#include "unwind/row-program.h"

int rules_init(struct rules *r) {
    *r = (struct rules){.table_capacity = 1024};
    r->table = calloc(r->table_capacity, sizeof *r->table);
    struct rule *none = r->table ? vec_push(&r->list) : NULL;
    struct rule *end = none ? vec_push(&r->list) : NULL;
    if (!end) {
        rules_free(r);
        return -ENOMEM;
    }
    end->hot.form = RULE_END;
    return 0;
}

void rules_free(struct rules *r) {
    vec_free(&r->list);
    vec_free(&r->registers);
    vec_free(&r->expressions);
    free(r->table);
    *r = (struct rules){0};
}

static bool is_unknown(struct location location) {
    return location.kind == LOCATION_UNSPECIFIED || location.kind == LOCATION_LOST || location.kind == LOCATION_SAME;
}

static bool is_expression(struct location location) {
    return location.kind == LOCATION_EXPRESSION || location.kind == LOCATION_EXPRESSION_VALUE;
}

static bool is_return_address_usual(struct location location) {
    return location.kind == LOCATION_CFA && location.offset == -8;
}

struct candidate {
    struct rule rule;
    struct rule_register registers[UNWIND_REGISTERS];
};

/* What a row says, without what the defaults say too. */
static void list_registers(struct candidate *c, const struct program_row *row, bool *ret_has_expression) {
    unsigned count = 0;
    *ret_has_expression = is_expression(row->cfa);
    for (unsigned number = 0; number < UNWIND_REGISTERS; number++) {
        struct location location = row->registers[number];
        if (location.kind == LOCATION_UNSPECIFIED || (location.kind == LOCATION_SAME && register_is_callee_saved(number)))
            continue;
        if (number == UNWIND_PC && is_return_address_usual(location))
            continue;
        *ret_has_expression |= is_expression(location);
        c->registers[count++] = (struct rule_register){.location = location, .target = number};
    }
    c->rule.hot.register_count = (uint16_t)count;
}

/* Only functions that use __builtin_eh_return save rax: they install other frames' registers over their own (walk.c). */
static bool is_eh_return(const struct program_row *row) {
    return row->registers[0].kind == LOCATION_CFA;
}

static bool is_hot(const struct program_row *row, bool is_signal_frame) {
    struct location rbp = row->registers[UNWIND_RBP];
    bool rbp_is_same = rbp.kind == LOCATION_UNSPECIFIED || rbp.kind == LOCATION_SAME;
    bool rbp_is_saved = rbp.kind == LOCATION_CFA && rbp.offset != 0;
    return !is_signal_frame && !is_eh_return(row) && row->cfa.kind == LOCATION_REGISTER &&
           (row->cfa.source == UNWIND_RSP || row->cfa.source == UNWIND_RBP) && is_return_address_usual(row->registers[UNWIND_PC]) &&
           (rbp_is_same || rbp_is_saved) && row->registers[UNWIND_RSP].kind == LOCATION_UNSPECIFIED;
}

static void choose_form(struct candidate *c, const struct program_row *row, bool has_expression) {
    struct rule_hot *hot = &c->rule.hot;
    if (has_expression) {
        hot->form = RULE_LIBUNWIND;
    } else if (is_hot(row, hot->is_signal_frame)) {
        hot->form = row->cfa.source == UNWIND_RSP ? RULE_RSP : RULE_RBP;
        hot->cfa_offset = row->cfa.offset;
        hot->rbp_offset = row->registers[UNWIND_RBP].kind == LOCATION_CFA ? row->registers[UNWIND_RBP].offset : 0;
    } else {
        hot->form = RULE_GENERAL;
        c->rule.is_eh_return = !hot->is_signal_frame && is_eh_return(row);
    }
}

/* The return address column is 16 in every CIE seen; where it is not, that column's rule finds the return address. */
static struct location return_address(const struct elf_cfi_fde *fde, const struct program_row *row) {
    uint64_t column = fde->cie->return_register;
    return column < UNWIND_REGISTERS ? row->registers[column] : (struct location){.kind = LOCATION_LOST};
}

static uint64_t hash_words(uint64_t hash, const void *data, size_t length) {
    const uint8_t *at = data;
    for (uint64_t word; length >= sizeof word; at += sizeof word, length -= sizeof word) {
        memcpy(&word, at, sizeof word);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    return hash;
}

static bool is_equal(const struct rules *r, const struct rule *known, const struct candidate *c, const uint8_t *expression) {
    struct rule_hot hot = known->hot;
    hot.first_register = 0;
    return !memcmp(&hot, &c->rule.hot, sizeof hot) && !memcmp(&known->cfa, &c->rule.cfa, sizeof known->cfa) &&
           known->expression_length == c->rule.expression_length &&
           (!hot.register_count ||
            !memcmp(&r->registers.items[known->hot.first_register], c->registers, hot.register_count * sizeof *c->registers)) &&
           (!known->expression_length || !memcmp(&r->expressions.items[known->expression], expression, known->expression_length));
}

static void table_insert(uint32_t *table, size_t capacity, uint64_t hash, uint32_t number) {
    size_t slot = hash & (capacity - 1);
    while (table[slot])
        slot = (slot + 1) & (capacity - 1);
    table[slot] = number + 1;
}

static uint64_t hash_rule(const struct rule *rule, const struct rule_register *registers, const uint8_t *expression) {
    struct rule_hot hot = rule->hot;
    hot.first_register = 0;
    uint64_t hash = hash_words(0, &hot, sizeof hot);
    hash = hash_words(hash, &rule->cfa, sizeof rule->cfa);
    hash = hash_words(hash, registers, hot.register_count * sizeof *registers);
    return map_hash(hash_words(hash, expression, rule->expression_length));
}

static int table_grow(struct rules *r) {
    size_t capacity = r->table_capacity * 2;
    uint32_t *table = calloc(capacity, sizeof *table);
    if (!table)
        return -ENOMEM;
    for (uint32_t i = RULES_END + 1; i < r->list.count; i++) {
        const struct rule *rule = &r->list.items[i];
        const struct rule_register *registers = r->registers.items ? &r->registers.items[rule->hot.first_register] : NULL;
        const uint8_t *expression = r->expressions.items ? &r->expressions.items[rule->expression] : NULL;
        table_insert(table, capacity, hash_rule(rule, registers, expression), i);
    }
    free(r->table);
    r->table = table;
    r->table_capacity = capacity;
    return 0;
}

static int add(struct rules *r, struct candidate *c, const uint8_t *expression, uint64_t hash, uint16_t *ret) {
    if (r->list.count == RULES_MAX)
        return -ENOSPC;
    if (r->list.count * 2 >= r->table_capacity) {
        int error = table_grow(r);
        if (error < 0)
            return error;
    }
    size_t registers = r->registers.count, expressions = r->expressions.count;
    if (!vec_reserve(&r->registers, registers + c->rule.hot.register_count) ||
        !vec_reserve(&r->expressions, expressions + c->rule.expression_length))
        return -ENOMEM;
    struct rule *rule = vec_push(&r->list);
    if (!rule)
        return -ENOMEM;
    *rule = c->rule;
    rule->hot.first_register = (uint32_t)registers;
    rule->expression = (uint32_t)expressions;
    if (rule->hot.register_count)
        memcpy(&r->registers.items[registers], c->registers, rule->hot.register_count * sizeof *c->registers);
    if (rule->expression_length)
        memcpy(&r->expressions.items[expressions], expression, rule->expression_length);
    r->registers.count += rule->hot.register_count;
    r->expressions.count += rule->expression_length;
    uint32_t number = (uint32_t)r->list.count - 1;
    table_insert(r->table, r->table_capacity, hash, number);
    *ret = (uint16_t)number;
    return 0;
}

int rules_intern(struct rules *r, const struct elf_cfi_fde *fde, const struct program_row *given, uint16_t *ret) {
    struct program_row row = *given;
    row.registers[UNWIND_PC] = return_address(fde, given);
    if (row.registers[UNWIND_PC].kind == LOCATION_UNDEFINED) {
        *ret = RULES_END;
        return 0;
    }
    if (is_unknown(row.registers[UNWIND_PC]) || row.cfa.kind == LOCATION_UNSPECIFIED || row.cfa.kind == LOCATION_LOST) {
        *ret = RULES_NONE;
        return 0;
    }

    struct candidate c = {.rule = {.hot = {.is_signal_frame = fde->cie->is_signal_frame}, .cfa = row.cfa}};
    uint8_t expression[ROW_PROGRAM_MAX];
    bool has_expression;
    list_registers(&c, &row, &has_expression);
    choose_form(&c, &row, has_expression);
    if (has_expression) {
        size_t length = row_program_write(fde, &row, expression);
        if (length == 0) {
            *ret = RULES_NONE;
            return 0;
        }
        c.rule.expression_length = (uint32_t)length;
    }
    uint64_t hash = hash_rule(&c.rule, c.registers, expression);
    for (size_t slot = hash & (r->table_capacity - 1); r->table[slot]; slot = (slot + 1) & (r->table_capacity - 1)) {
        uint32_t number = r->table[slot] - 1;
        if (is_equal(r, &r->list.items[number], &c, expression)) {
            *ret = (uint16_t)number;
            return 0;
        }
    }
    return add(r, &c, expression, hash, ret);
}
