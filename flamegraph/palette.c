/* SPDX-License-Identifier: MIT */
#include "flamegraph/palette.h"

#include <errno.h>
#include <string.h>

#include "base/macros.h"
#include "base/map.h"

/* A ramp that a hash picks from. */
struct ramp {
    uint8_t from[3], to[3];
};

enum ramp_name { HOT, MEM, IO, RED, GREEN, BLUE, AQUA, YELLOW, PURPLE, ORANGE, GREY, RAMPS };

static const struct ramp ramps[RAMPS] = {
    [HOT] = {{255, 112, 72}, {255, 222, 92}},      [MEM] = {{64, 196, 120}, {150, 232, 190}},
    [IO] = {{122, 152, 240}, {164, 212, 252}},     [RED] = {{244, 108, 100}, {255, 168, 152}},
    [GREEN] = {{98, 196, 98}, {168, 232, 144}},    [BLUE] = {{118, 158, 246}, {168, 204, 255}},
    [AQUA] = {{62, 196, 204}, {142, 230, 228}},    [YELLOW] = {{226, 196, 60}, {248, 232, 116}},
    [PURPLE] = {{196, 138, 236}, {226, 182, 252}}, [ORANGE] = {{246, 146, 60}, {255, 192, 112}},
    [GREY] = {{176, 176, 180}, {206, 206, 210}},
};

static const char *const palette_names[FLAMEGRAPH_PALETTE_COUNT] = {
    [FLAMEGRAPH_HOT] = "hot",       [FLAMEGRAPH_MEM] = "mem",       [FLAMEGRAPH_IO] = "io",         [FLAMEGRAPH_WAKEUP] = "wakeup",
    [FLAMEGRAPH_CHAIN] = "chain",   [FLAMEGRAPH_JAVA] = "java",     [FLAMEGRAPH_JS] = "js",         [FLAMEGRAPH_PERL] = "perl",
    [FLAMEGRAPH_RED] = "red",       [FLAMEGRAPH_GREEN] = "green",   [FLAMEGRAPH_BLUE] = "blue",     [FLAMEGRAPH_AQUA] = "aqua",
    [FLAMEGRAPH_YELLOW] = "yellow", [FLAMEGRAPH_PURPLE] = "purple", [FLAMEGRAPH_ORANGE] = "orange", [FLAMEGRAPH_KIND] = "kind",
    [FLAMEGRAPH_MODULE] = "module",
};

int flamegraph_palette_parse(const char *name, enum flamegraph_palette *ret) {
    for (unsigned i = 0; i < FLAMEGRAPH_PALETTE_COUNT; i++) {
        if (!strcmp(palette_names[i], name)) {
            *ret = (enum flamegraph_palette)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *flamegraph_palette_name(enum flamegraph_palette palette) {
    return palette_names[palette];
}

static uint64_t palette_hash(const char *bytes, size_t length) {
    uint64_t hash = 0xcbf29ce484222325ULL;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)bytes[i]) * 0x100000001b3ULL;
    return map_hash(hash);
}

/* 0 ... 255, in which a name's first bytes weigh most: neighbours in the alphabet are neighbours in colour. */
static unsigned palette_similar(const char *bytes, size_t length) {
    double value = 0, weight = 1, sum = 0;
    for (size_t i = 0; i < MIN(length, 6); i++, weight *= 0.7) {
        value += weight * (((uint8_t)bytes[i] * 37) & 0xff);
        sum += weight;
    }
    return sum > 0 ? (unsigned)(value / sum) : 0;
}

static uint32_t ramp_color(const struct ramp *ramp, unsigned place) {
    uint32_t color = 0;
    for (unsigned i = 0; i < 3; i++)
        color = color << 8 | (uint32_t)((ramp->from[i] * (int)(255 - place) + ramp->to[i] * (int)place + 127) / 255);
    return color;
}

static bool contains(const char *name, size_t length, const char *part) {
    return memmem(name, length, part, strlen(part)) != NULL;
}

enum flamegraph_kind palette_kind(const char *name, size_t length) {
    if (length < 4 || name[length - 4] != '_' || name[length - 3] != '[' || name[length - 1] != ']')
        return FLAMEGRAPH_KIND_AUTO;
    switch (name[length - 2]) {
    case 'k':
        return FLAMEGRAPH_KIND_KERNEL;
    case 'j':
        return FLAMEGRAPH_KIND_JIT;
    case 'i':
        return FLAMEGRAPH_KIND_INLINED;
    case 'w':
        return FLAMEGRAPH_KIND_WAKER;
    case 's':
        return FLAMEGRAPH_KIND_SCOPE;
    default:
        return FLAMEGRAPH_KIND_AUTO;
    }
}

size_t palette_visible(const char *name, size_t length) {
    return palette_kind(name, length) == FLAMEGRAPH_KIND_AUTO ? length : length - 4;
}

const char *palette_module(const char *name, size_t length, size_t *ret_length) {
    length = palette_visible(name, length);
    if (!name || !length) {
        *ret_length = 0;
        return name;
    }
    const char *tick = memchr(name, '`', length);
    if (tick) {
        *ret_length = (size_t)(tick - name);
        return name;
    }
    const char *open = name[length - 1] == ']' ? memrchr(name, '[', length) : NULL;
    if (open && (open == name || open[-1] == ' ')) {
        *ret_length = (size_t)(name + length - 1 - (open + 1));
        return open + 1;
    }
    const char *scope = memmem(name, length, "::", 2);
    *ret_length = scope ? (size_t)(scope - name) : 0;
    return name;
}

static enum ramp_name ramp_of_kind(enum flamegraph_kind kind) {
    static const enum ramp_name by_kind[FLAMEGRAPH_KIND_COUNT] = {
        [FLAMEGRAPH_KIND_AUTO] = BLUE,    [FLAMEGRAPH_KIND_USER] = BLUE,    [FLAMEGRAPH_KIND_KERNEL] = ORANGE,
        [FLAMEGRAPH_KIND_JIT] = GREEN,    [FLAMEGRAPH_KIND_INLINED] = AQUA, [FLAMEGRAPH_KIND_WAKER] = PURPLE,
        [FLAMEGRAPH_KIND_SCOPE] = YELLOW,
    };
    return by_kind[kind];
}

static bool java_package(const char *name, size_t length) {
    static const char *const roots[] = {"java/", "javax/", "jdk/", "net/", "org/", "com/", "io/", "sun/"};
    if (length && *name == 'L') {
        name++;
        length--;
    }
    for (size_t i = 0; i < ARRAY_SIZE(roots); i++) {
        if (length >= strlen(roots[i]) && !memcmp(name, roots[i], strlen(roots[i])))
            return true;
    }
    return false;
}

/* The language palettes say by the name's form what kind of code it is: the same conventions as flamegraph.pl's. */
static enum ramp_name ramp_of_language(enum flamegraph_palette palette, const char *name, size_t length, enum flamegraph_kind kind) {
    if (kind == FLAMEGRAPH_KIND_KERNEL)
        return ORANGE;
    if (palette == FLAMEGRAPH_JAVA) {
        if (kind == FLAMEGRAPH_KIND_JIT || java_package(name, length))
            return GREEN;
        if (kind == FLAMEGRAPH_KIND_INLINED)
            return AQUA;
        return contains(name, length, "::") ? YELLOW : RED;
    }
    if (palette == FLAMEGRAPH_PERL) {
        if (contains(name, length, "::"))
            return YELLOW;
        return contains(name, length, "Perl") || contains(name, length, ".pl") ? GREEN : RED;
    }
    if (kind == FLAMEGRAPH_KIND_JIT)
        return contains(name, length, "/") ? GREEN : AQUA;
    if (contains(name, length, "::"))
        return YELLOW;
    if (contains(name, length, ".js"))
        return GREEN;
    if (contains(name, length, ":"))
        return AQUA;
    return length == 1 && *name == ' ' ? GREEN : RED;
}

static uint32_t color_by_module(const struct palette_frame *frame, unsigned place) {
    static const enum ramp_name wheel[] = {ORANGE, BLUE, GREEN, PURPLE, YELLOW, AQUA, RED, MEM, IO};
    size_t length = frame->module ? strlen(frame->module) : 0;
    const char *module = frame->module;
    if (!module)
        module = palette_module(frame->name, frame->length, &length);
    if (!length || (length == 7 && !memcmp(module, "unknown", 7)))
        return ramp_color(&ramps[GREY], place);
    return ramp_color(&ramps[wheel[palette_hash(module, length) % ARRAY_SIZE(wheel)]], place);
}

uint32_t palette_color(enum flamegraph_palette palette, const struct palette_frame *frame, bool hash) {
    const char *name = frame->name;
    size_t length = frame->length;
    enum flamegraph_kind kind = frame->kind ? frame->kind : palette_kind(name, length);
    unsigned place = hash ? palette_similar(name, length) : (unsigned)(palette_hash(name, palette_visible(name, length)) & 0xff);
    if ((length == 1 && *name == '-') || (length == 2 && !memcmp(name, "--", 2))) /* separators of joined stacks */
        return ramp_color(&ramps[GREY], length == 1 ? 0 : 160);

    switch (palette) {
    case FLAMEGRAPH_MODULE:
        return color_by_module(frame, place);
    case FLAMEGRAPH_KIND:
        return ramp_color(&ramps[contains(name, length, "[unknown]") ? GREY : ramp_of_kind(kind)], place);
    case FLAMEGRAPH_JAVA:
    case FLAMEGRAPH_JS:
    case FLAMEGRAPH_PERL:
        return ramp_color(&ramps[ramp_of_language(palette, name, length, kind)], place);
    case FLAMEGRAPH_CHAIN:
        return ramp_color(&ramps[kind == FLAMEGRAPH_KIND_WAKER ? AQUA : BLUE], place);
    default:
        break;
    }
    static const enum ramp_name plain[FLAMEGRAPH_PALETTE_COUNT] = {
        [FLAMEGRAPH_HOT] = HOT,       [FLAMEGRAPH_MEM] = MEM,       [FLAMEGRAPH_IO] = IO,         [FLAMEGRAPH_WAKEUP] = AQUA,
        [FLAMEGRAPH_RED] = RED,       [FLAMEGRAPH_GREEN] = GREEN,   [FLAMEGRAPH_BLUE] = BLUE,     [FLAMEGRAPH_AQUA] = AQUA,
        [FLAMEGRAPH_YELLOW] = YELLOW, [FLAMEGRAPH_PURPLE] = PURPLE, [FLAMEGRAPH_ORANGE] = ORANGE,
    };
    return ramp_color(&ramps[plain[palette]], place);
}

uint32_t palette_difference(double delta, double most, bool negate) {
    static const struct ramp more = {{224, 224, 224}, {255, 92, 72}}, less = {{224, 224, 224}, {84, 150, 255}};
    if (negate)
        delta = -delta;
    double share = most > 0 ? (delta < 0 ? -delta : delta) / most : 0;
    return ramp_color(delta < 0 ? &less : &more, (unsigned)(MIN(share, 1.0) * 255 + 0.5));
}
