/* SPDX-License-Identifier: MIT */
/* CFA programs -> rows and rules. */
#include "tests/unit/unwind/fake.h"

#define MODULE(...) \
    struct unwind_module *m = fake_module((const struct fake_fde[]){__VA_ARGS__}, ARRAY_SIZE(((const struct fake_fde[]){__VA_ARGS__})))

TEST(a_prologue_and_an_epilogue_make_their_rows) {
    /* push rbp; mov rsp,rbp; ...; leave; ret */
    MODULE(FAKE_FDE(0x1000, 0x1100, "\x41\x0e\x10\x86\x02\x43\x0d\x06\x02\x50\x0c\x07\x08"));
    CHECK_EQ(module_find_rule(m, 0xfff)->hot.form, RULE_NONE);
    const struct rule *entry = module_find_rule(m, 0x1000), *pushed = module_find_rule(m, 0x1001), *framed = module_find_rule(m, 0x1004),
                      *left = module_find_rule(m, 0x1054);
    CHECK_EQ(entry->hot.form, RULE_RSP);
    CHECK_EQ(entry->hot.cfa_offset, 8);
    CHECK_EQ(entry->hot.rbp_offset, 0);
    CHECK_EQ(pushed->hot.cfa_offset, 16);
    CHECK_EQ(pushed->hot.rbp_offset, -16);
    CHECK_EQ(framed->hot.form, RULE_RBP);
    CHECK_EQ(module_find_rule(m, 0x1053), framed);
    CHECK_EQ(left->hot.form, RULE_RSP);
    CHECK_EQ(left->hot.cfa_offset, 8);
    CHECK_EQ(left->hot.rbp_offset, -16);
    CHECK_EQ(module_find_rule(m, 0x10ff), left);
    CHECK_EQ(module_find_rule(m, 0x1100)->hot.form, RULE_NONE);
    CHECK_EQ(m->info.fdes, 1);
    CHECK_EQ(m->info.rows, 5);
    unwind_module_free(m);
}

TEST(states_are_remembered_with_their_cfa_and_registers_restored_from_the_cie) {
    MODULE(FAKE_FDE(0x10, 0x50, "\x41\x0e\x10\x86\x02\x41\x0a\x0e\x30\x83\x03\x41\xc6\x0b\x41\xc6"));
    CHECK_EQ(module_find_rule(m, 0x12)->hot.cfa_offset, 0x30);
    CHECK_EQ(module_find_rule(m, 0x13)->hot.cfa_offset, 0x10);
    CHECK_EQ(module_find_rule(m, 0x13), module_find_rule(m, 0x11));
    CHECK_EQ(module_find_rule(m, 0x14)->hot.rbp_offset, 0);
    unwind_module_free(m);
}

TEST(gaps_have_rows_and_adjacent_fdes_keep_their_starts) {
    MODULE(FAKE_FDE(0x300, 0x340, ""), FAKE_FDE(0x100, 0x140, ""), FAKE_FDE(0x140, 0x150, ""));
    uint64_t start, end;
    CHECK_EQ(module_find_rule(m, 0x14f)->hot.form, RULE_RSP);
    CHECK_EQ(module_find_rule(m, 0x150)->hot.form, RULE_NONE);
    CHECK_EQ(module_find_rule(m, 0x2ff)->hot.form, RULE_NONE);
    CHECK_EQ(module_find_rule(m, 0x300)->hot.form, RULE_RSP);
    CHECK(module_find_extent(m, 0x145, &start, &end));
    CHECK_EQ(start, 0x140);
    CHECK_EQ(end, 0x150);
    CHECK(!module_find_extent(m, 0x200, &start, &end));
    CHECK_EQ(start, 0x150);
    CHECK_EQ(end, 0x300);
    CHECK(!module_find_extent(m, 0x10, &start, &end));
    CHECK_EQ(end, 0x100);
    unwind_module_free(m);
}

TEST(rows_are_found_across_empty_pages_and_far_beyond_4_gib) {
    MODULE(FAKE_FDE(0x1fff0, 0x50010, "\x41\x0e\x10"), FAKE_FDE(0x700000000000, 0x700000000010, "\x42\x0e\x20"));
    CHECK_EQ(module_find_rule(m, 0x1fff0)->hot.cfa_offset, 8);
    CHECK_EQ(module_find_rule(m, 0x20000)->hot.cfa_offset, 16);
    CHECK_EQ(module_find_rule(m, 0x3ffff)->hot.cfa_offset, 16);
    CHECK_EQ(module_find_rule(m, 0x50000)->hot.cfa_offset, 16);
    CHECK_EQ(module_find_rule(m, 0x50010)->hot.form, RULE_NONE);
    CHECK_EQ(module_find_rule(m, 0x6fffffffffff)->hot.form, RULE_NONE);
    CHECK_EQ(module_find_rule(m, 0x700000000001)->hot.cfa_offset, 8);
    CHECK_EQ(module_find_rule(m, 0x700000000002)->hot.cfa_offset, 32);
    unwind_module_free(m);
}

TEST(of_overlapping_fdes_the_first_added_wins) {
    MODULE(FAKE_FDE(0x100, 0x200, "\x0e\x10"), FAKE_FDE(0x100, 0x200, "\x0e\x20"), FAKE_FDE(0x180, 0x280, "\x0e\x30"),
           FAKE_FDE(0x80, 0x120, "\x0e\x40"), FAKE_FDE(0x90, 0xa0, "\x0e\x50"));
    CHECK_EQ(module_find_rule(m, 0x80)->hot.cfa_offset, 0x40);
    CHECK_EQ(module_find_rule(m, 0x98)->hot.cfa_offset, 0x40);
    CHECK_EQ(module_find_rule(m, 0x100)->hot.cfa_offset, 0x10);
    CHECK_EQ(module_find_rule(m, 0x1ff)->hot.cfa_offset, 0x10);
    CHECK_EQ(module_find_rule(m, 0x200)->hot.cfa_offset, 0x30);
    CHECK_EQ(module_find_rule(m, 0x280)->hot.form, RULE_NONE);
    unwind_module_free(m);
}

TEST(an_undefined_return_address_is_the_end_and_a_broken_program_is_no_rule) {
    MODULE(FAKE_FDE(0x10, 0x20, "\x07\x10"), FAKE_FDE(0x20, 0x30, "\x41\x3f"), FAKE_FDE(0x30, 0x40, "\x0e"), FAKE_FDE(0x40, 0x50, "\x0b"));
    CHECK_EQ(module_find_rule(m, 0x10)->hot.form, RULE_END);
    CHECK_EQ(module_find_rule(m, 0x20)->hot.form, RULE_NONE);
    CHECK_EQ(module_find_rule(m, 0x30)->hot.form, RULE_NONE);
    CHECK_EQ(module_find_rule(m, 0x40)->hot.form, RULE_NONE);
    CHECK_EQ(m->info.fdes, 1);
    CHECK_EQ(m->info.skipped_fdes, 3);
    unwind_module_free(m);
}

TEST(common_expressions_become_rules_and_others_are_left_to_libunwind) {
    MODULE(FAKE_FDE(0x10, 0x20, "\x0f\x0b\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22"), /* .plt */
           FAKE_FDE(0x20, 0x30, "\x0f\x03\x76\x78\x06\x10\x06\x02\x76\x00"),             /* DRAP: CFA [rbp-8], rbp [rbp+0] */
           FAKE_FDE(0x30, 0x40, "\x0f\x05\x74\x08\x06\x23\x08"),                         /* CFA [rsi+8]+8 */
           FAKE_FDE(0x40, 0x50, "\x0f\x04\x77\x08\x31\x1e"));                            /* CFA (rsp+8) * 1 */
    const struct rule *plt = module_find_rule(m, 0x10), *drap = module_find_rule(m, 0x20), *openssl = module_find_rule(m, 0x30),
                      *other = module_find_rule(m, 0x40);
    CHECK_EQ(plt->hot.form, RULE_GENERAL);
    CHECK_EQ(plt->cfa.kind, LOCATION_PLT);
    CHECK_EQ(plt->cfa.addend, 11);
    CHECK_EQ(drap->cfa.kind, LOCATION_MEMORY);
    CHECK_EQ(drap->cfa.source, UNWIND_RBP);
    CHECK_EQ(drap->cfa.offset, -8);
    CHECK_EQ(drap->hot.register_count, 1);
    CHECK_EQ(m->rules.registers.items[drap->hot.first_register].location.kind, LOCATION_MEMORY);
    CHECK_EQ(openssl->cfa.addend, 8);
    CHECK_EQ(other->hot.form, RULE_LIBUNWIND);
    CHECK_EQ(m->info.libunwind_rows, 1);
    unwind_module_free(m);
}

TEST_MAIN()
