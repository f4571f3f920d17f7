/* SPDX-License-Identifier: MIT */
#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#undef ARRAY_SIZE /* libiberty has one, the same */
#include "base/buffer.h"
#include "base/cleanup.h"
#include "base/macros.h"
#include "symbol/symbol.h"

enum {
    MANGLED_MAX = 8 * 1024, /* of what is demangled; the demanglers recurse, at worst once a byte */
    READABLE_MAX = 64 * 1024,
    TEMPLATE_WORK_MAX = 32 * 1024 /* see limit_for; 2 MiB of stack */
};

static bool is_number(const char *text, size_t length) {
    size_t digits = 0;
    while (digits < length && text[digits] >= '0' && text[digits] <= '9')
        digits++;
    return length && digits == length;
}

/* What compilers append to the names of a function's copies and parts. Most are numbered: "proto.clone" is a function of Go's. */
static bool is_clone_word(const char *text, size_t length, bool has_number) {
    static const char *const words[] = {"cold", "localalias", "part", "constprop", "isra", "lto_priv", "llvm", "clone", "simdclone"};
    enum { WITHOUT_NUMBER = 2 };
    for (size_t i = 0; i < (has_number ? ARRAY_SIZE(words) : WITHOUT_NUMBER); i++)
        if (strlen(words[i]) == length && !memcmp(text, words[i], length))
            return true;
    return false;
}

/* From the end, each byte once. */
size_t symbol_base_length(const char *name, size_t length) {
    size_t end = length, base = length;
    bool has_number = false;
    for (size_t dot = end; dot-- > 1;) {
        if (name[dot] != '.')
            continue;
        const char *word = name + dot + 1;
        bool is_word = is_clone_word(word, end - dot - 1, has_number);
        if (!is_word && !is_number(word, end - dot - 1))
            break;
        end = dot;
        base = is_word ? dot : base;
        has_number = !is_word;
    }
    return base;
}

/*
 * A demangler's output as it comes. A hundred bytes of name can stand for more text than there is memory, each substitution doubling what
 * is before it, and the demanglers cannot be told to stop: so the callback leaves them by longjmp. They keep their state on the stack
 * (libiberty uses the callback interfaces where malloc is forbidden), so nothing is lost but, rarely, the letters of one punycode
 * identifier.
 */
struct readable {
    struct buffer text;
    jmp_buf too_long;
};

static void put_piece(const char *piece, size_t length, void *context) {
    struct readable *readable = context;
    if (length > READABLE_MAX - readable->text.length)
        longjmp(readable->too_long, 1);
    buffer_put(&readable->text, piece, length);
}

/*
 * libiberty refuses C++ names of more than 1024 bytes unless it is told not to, for it keeps two tables on the stack: of all parts of the
 * name, for which MANGLED_MAX is small enough, and of (templates * references to their parameters), each counted twice at most, with 16
 * bytes for each pair. How many there can be of either is known by their letters: I...E, and RT_ or OT_ or a substitution for the T_.
 */
static int limit_for(const char *name) {
    size_t templates = 0, references = 0;
    for (const char *at = name; *at; at++) {
        templates += *at == 'I';
        references += (*at == 'R' || *at == 'O') && (at[1] == 'T' || at[1] == 'S');
    }
    return templates * references <= TEMPLATE_WORK_MAX ? DMGL_NO_RECURSE_LIMIT : 0;
}

/* Does `name` have a readable form? It is in ret->text then. */
static bool demangle_to(const char *name, struct readable *ret) {
    enum { STYLE = DMGL_PARAMS | DMGL_ANSI };
    if (setjmp(ret->too_long))
        return false;
    /* Rust first: it knows its legacy names by their hash, which it leaves out. */
    if ((!strncmp(name, "_R", 2) || !strncmp(name, "_ZN", 3)) && rust_demangle_callback(name, STYLE, put_piece, ret))
        return true;
    buffer_clear(&ret->text);
    return !strncmp(name, "_Z", 2) && cplus_demangle_v3_callback(name, STYLE | limit_for(name), put_piece, ret);
}

/* malloc'ed, or NULL if the name is not mangled or has no readable form of bearable length. */
static char *demangle_base(const char *name) {
    struct readable readable = {0};
    char *made = NULL;
    if (strlen(name) <= MANGLED_MAX && demangle_to(name, &readable) && !readable.text.failed)
        made = strndup((const char *)readable.text.data, readable.text.length);
    buffer_free(&readable.text);
    return made;
}

bool symbol_is_mangled(const char *name) {
    return name[0] == '_' && (name[1] == 'Z' || (name[1] == 'R' && name[2] && strchr("BCIMNXY", name[2])));
}

char *symbol_demangle(const char *name) {
    if (!symbol_is_mangled(name))
        return strdup(name);
    size_t length = symbol_base_length(name, strlen(name));
    _cleanup_free_ char *base = strndup(name, length);
    _cleanup_free_ char *readable = base ? demangle_base(base) : NULL;
    char *whole = NULL;
    if (base && asprintf(&whole, "%s%s", readable ? readable : base, name + length) < 0)
        whole = NULL;
    return whole;
}
