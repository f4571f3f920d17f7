/* SPDX-License-Identifier: MIT */
#include "report/name.h"
#include "tests/check.h"

static const char *shorten(const char *name) {
    static struct buffer b;
    buffer_clear(&b);
    name_put_short(&b, name, strlen(name));
    buffer_put_u8(&b, 0);
    return (const char *)b.data;
}

static void check_names(const char *const (*pairs)[2], size_t count) {
    for (size_t i = 0; i < count; i++)
        CHECK_STR(shorten(pairs[i][0]), pairs[i][1]);
}

TEST(parameters_template_arguments_and_return_types_go) {
    static const char *const pairs[][2] = {
        {"main", "main"},
        {"foo(int, char const*)", "foo"},
        {"std::vector<int, std::allocator<int> >::push_back(int const&)", "std::vector::push_back"},
        {"void sort<int*>(int*, int*)", "sort"},
        {"unsigned long ns::count<char>(char)", "ns::count"},
        {"std::map<int, std::vector<long>>::at(int const&) const", "std::map::at"},
        {"foo[abi:cxx11](int)", "foo[abi:cxx11]"},
        {"f(void (*)(int), int (&) [3])", "f"},
        {"std::function<void (int)>::operator()(int) const", "std::function::operator()"},
        {"A::f() const &", "A::f"},
        {"A::f(int) &&", "A::f"},
        {"f<(a::b)1>(int)", "f"},
        {"f<a<(1 > 2)> >()", "f"},
        {"foo(int) [clone .cold]", "foo"},
        {"A::~A()", "A::~A"},
        {"f(int)@plt", "f@plt"},
        {"memcpy@plt", "memcpy@plt"},
        {"do_sys_open.isra.0", "do_sys_open"},
        {"parse(char const*).part.0.cold", "parse"},
        {"core::fmt::Formatter::pad.llvm.123", "core::fmt::Formatter::pad"},
    };
    check_names(pairs, ARRAY_SIZE(pairs));
}

TEST(operators_keep_their_symbols) {
    static const char *const pairs[][2] = {
        {"operator new(unsigned long)", "operator new"},
        {"operator delete[](void*)", "operator delete[]"},
        {"A::operator<(A const&) const", "A::operator<"},
        {"bool operator< <int>(A<int> const&, A<int> const&)", "operator<"},
        {"std::ostream& operator<< <char>(std::ostream&, char)", "operator<<"},
        {"A::operator->() const", "A::operator->"},
        {"A::operator()(int, int)", "A::operator()"},
        {"A::operator bool() const", "A::operator bool"},
        {"A::operator std::vector<int>() const", "A::operator std::vector"},
        {"A::operator,(A)", "A::operator,"},
        {"operator<=>(A, B)", "operator<=>"},
        {"my_operator(int)", "my_operator"},
        {"operators::f(int)", "operators::f"},
    };
    check_names(pairs, ARRAY_SIZE(pairs));
}

TEST(places_inside_functions_stay_apart) {
    static const char *const pairs[][2] = {
        {"(anonymous namespace)::f(int)", "{anonymous}::f"},
        {"void (anonymous namespace)::g<int>(int)", "{anonymous}::g"},
        {"run(int)::{lambda(int, char)#2}::operator()(int, char) const", "run::{lambda#2}::operator()"},
        {"auto f<int>(int)::{lambda()#1}::operator()() const", "f::{lambda#1}::operator()"},
        {"f(int) const::Local::g()", "f::Local::g"},
        {"non-virtual thunk to A::f(int)", "non-virtual thunk to A::f"},
        {"virtual thunk to A<int>::f(int)", "virtual thunk to A::f"},
        {"guard variable for f(int)::x", "guard variable for f::x"},
    };
    check_names(pairs, ARRAY_SIZE(pairs));
}

TEST(rust_and_go_have_brackets_of_their_own) {
    static const char *const pairs[][2] = {
        {"core::ptr::drop_in_place<alloc::string::String>", "core::ptr::drop_in_place"},
        {"<alloc::vec::Vec<T,A> as core::ops::drop::Drop>::drop", "{alloc::vec::Vec as core::ops::drop::Drop}::drop"},
        {"<a::B>::new", "a::B::new"},
        {"<F as core::ops::FnOnce<()>>::call_once::{closure#0}", "{F as core::ops::FnOnce}::call_once::{closure#0}"},
        {"app::main::{{closure}}", "app::main::{{closure}}"},
        {"main.(*Tree).Walk", "main.(*Tree).Walk"},
        {"main.main.func1", "main.main.func1"},
    };
    check_names(pairs, ARRAY_SIZE(pairs));
}

TEST(what_is_not_understood_stays) {
    static const char *const names[] = {
        "a<b",          "a>b", "f(int", "f)int",   "(int)",    "<>", "", "operator", "void (*f(int))(char)",
        "f(int)(char)", "{",   "}",     "<lambda", "f(int) x",
    };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        CHECK_STR(shorten(names[i]), names[i]);
}

TEST(nesting_is_bounded) {
    char name[20001];
    memset(name, '<', 10000);
    memset(name + 10000, '>', 10000);
    name[20000] = 0;
    CHECK_STR(shorten(name), name);
}

TEST_MAIN()
