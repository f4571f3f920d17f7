/* SPDX-License-Identifier: MIT */
#include "report/name.h"

#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "symbol/symbol.h"

/*
 * One pass over the demangled name. `at` walks the input; what belongs to the short name is appended to `out`. Any doubt ends the pass
 * with false, and the caller takes the name as it is.
 */
struct shortener {
    const char *start, *at, *end;
    struct buffer *out;
    size_t out_start;  /* where this name begins in `out` */
    size_t name_start; /* behind the last space that may separate a return type from the name */
    bool has_parameters;
    bool keeps_spaces; /* "operator new", "virtual thunk to": spaces are part of the name from here on */
};

enum { NESTING_MAX = 16 };

static bool shorten(struct buffer *out, const char *name, size_t length, unsigned depth);

static bool starts(const struct shortener *s, const char *with) {
    size_t length = strlen(with);
    return (size_t)(s->end - s->at) >= length && !memcmp(s->at, with, length);
}

static bool take(struct shortener *s, const char *token) {
    if (!starts(s, token))
        return false;
    s->at += strlen(token);
    return true;
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '$' || (c & 0x80);
}

/* Behind the bracket that closes the one at `at`, or NULL. Brackets of other kinds inside are not looked at, but for parentheses inside
 * angles, where a `>` may be an operator. */
static const char *behind_group(const char *at, const char *end, char open, char close) {
    size_t depth = 0;
    for (; at < end; at++) {
        if (*at == open)
            depth++;
        else if (*at == close) {
            if (close == '>' && at[-1] == '-')
                continue; /* "->" */
            if (--depth == 0)
                return at + 1;
        } else if (open == '<' && *at == '(') {
            at = behind_group(at, end, '(', ')');
            if (!at)
                return NULL;
            at--;
        }
    }
    return NULL;
}

static bool skip_operator(struct shortener *s) {
    static const char *const symbols[] = {
        "<=>", "<<=", ">>=", "->*", "()", "[]", "<<", ">>", "<=", ">=", "==", "!=", "&&", "||", "++", "--", "+=", "-=", "*=", "/=",
        "%=",  "^=",  "&=",  "|=",  "->", "+",  "-",  "*",  "/",  "%",  "^",  "&",  "|",  "~",  "!",  "=",  "<",  ">",  ",",
    };
    buffer_put(s->out, "operator", 8);
    s->at += 8;
    s->keeps_spaces = true; /* "operator new", "operator bool" */
    for (size_t i = 0; i < ARRAY_SIZE(symbols); i++)
        if (take(s, symbols[i])) {
            buffer_put(s->out, symbols[i], strlen(symbols[i]));
            if (starts(s, " <")) /* how demanglers keep "operator< <int>" apart */
                s->at++;
            return true;
        }
    return true;
}

/* `<Type as Trait>` in front of a Rust path, or template arguments. */
static bool skip_angles(struct shortener *s, unsigned depth) {
    const char *behind = behind_group(s->at, s->end, '<', '>');
    if (!behind)
        return false;
    bool is_qualified_path = s->at == s->start || s->at[-1] == ':' || strchr(" &*(", s->at[-1]);
    if (is_qualified_path && behind < s->end && starts(&(struct shortener){.at = behind, .end = s->end}, "::")) {
        const char *inner = s->at + 1;
        size_t length = (size_t)(behind - 1 - inner);
        bool has_trait = memmem(inner, length, " as ", 4) != NULL;
        if (has_trait)
            buffer_put_u8(s->out, '{');
        if (!shorten(s->out, inner, length, depth + 1))
            return false;
        if (has_trait)
            buffer_put_u8(s->out, '}');
    } else if (s->at == s->start)
        return false;
    s->at = behind;
    return true;
}

/* `{lambda(int)#1}`, `{closure#0}`: kept but for parameters and template arguments. */
static bool copy_braces(struct shortener *s) {
    const char *behind = behind_group(s->at, s->end, '{', '}');
    if (!behind)
        return false;
    while (s->at < behind) {
        char c = *s->at;
        const char *next = c == '(' ? behind_group(s->at, behind, '(', ')') : c == '<' ? behind_group(s->at, behind, '<', '>') : s->at + 1;
        if (!next)
            return false;
        if (next == s->at + 1)
            buffer_put_u8(s->out, (uint8_t)c);
        s->at = next;
    }
    return true;
}

/* Parameters are dropped, with the qualifiers behind them; then the name ends, or goes on inside the function. */
static bool skip_parentheses(struct shortener *s) {
    if (take(s, "(anonymous namespace)")) {
        buffer_put(s->out, "{anonymous}", 11);
        return true;
    }
    const char *behind = behind_group(s->at, s->end, '(', ')');
    if (!behind || s->at == s->start)
        return false;
    if (s->at[-1] == '.') { /* Go: main.(*T).Run */
        buffer_put(s->out, s->at, (size_t)(behind - s->at));
        s->at = behind;
        return true;
    }
    if (!is_word(s->at[-1]) && !strchr(">)]}+-*/%^&|~!=<,\"", s->at[-1]))
        return false; /* "void (*f(int))(char)" */
    s->has_parameters = true;
    s->at = behind;
    while (take(s, " const") || take(s, " volatile") || take(s, " &&") || take(s, " &") || take(s, " noexcept"))
        ;
    if (starts(s, "@")) { /* "f(int)@plt" is not f */
        buffer_put(s->out, s->at, (size_t)(s->end - s->at));
        s->at = s->end;
    }
    if (starts(s, " [clone") || starts(s, " (.") || starts(s, "."))
        s->at = s->end;
    return s->at == s->end || starts(s, "::");
}

static bool ends_in(const struct shortener *s, const char *word) {
    size_t length = strlen(word);
    return s->out->length - s->out_start >= length && !memcmp(s->out->data + s->out->length - length, word, length);
}

static void copy_space(struct shortener *s) {
    s->at++;
    if (ends_in(s, " to") || ends_in(s, " for")) { /* "virtual thunk to f", "guard variable for x" */
        s->name_start = s->out_start;
        s->keeps_spaces = true;
    }
    buffer_put_u8(s->out, ' ');
    if (!s->keeps_spaces)
        s->name_start = s->out->length;
}

static bool shorten_one(struct shortener *s, unsigned depth) {
    bool in_word = s->at > s->start && is_word(s->at[-1]);
    if (!in_word && starts(s, "operator") && (s->at + 8 == s->end || !is_word(s->at[8])))
        return skip_operator(s);
    switch (*s->at) {
    case '<':
        return skip_angles(s, depth);
    case '{':
        return copy_braces(s);
    case '(':
        return skip_parentheses(s);
    case ' ':
        copy_space(s);
        return !s->out->failed;
    case '>':
    case ')':
    case '}':
        return false;
    default:
        buffer_put_u8(s->out, (uint8_t)*s->at++);
        return true;
    }
}

static bool shorten(struct buffer *out, const char *name, size_t length, unsigned depth) {
    struct shortener s = {.start = name, .at = name, .end = name + length, .out = out, .out_start = out->length, .name_start = out->length};
    if (depth > NESTING_MAX)
        return false;
    while (s.at < s.end)
        if (out->failed || !shorten_one(&s, depth))
            return false;
    if (out->failed)
        return false;
    if (s.has_parameters && s.name_start > s.out_start) {
        memmove(out->data + s.out_start, out->data + s.name_start, out->length - s.name_start);
        out->length -= s.name_start - s.out_start;
    }
    return out->length > s.out_start;
}

void name_put_short(struct buffer *b, const char *name, size_t length) {
    bool is_plain = true;
    length = symbol_base_length(name, length);
    for (size_t i = 0; i < length && is_plain; i++)
        is_plain = is_word(name[i]) || name[i] == '.' || name[i] == '@';
    size_t start = b->length;
    if (!is_plain && shorten(b, name, length, 0))
        return;
    if (!b->failed)
        b->length = start;
    buffer_put(b, name, length);
}
