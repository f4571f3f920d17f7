/* SPDX-License-Identifier: MIT */
#include "report/place.h"

#include <errno.h>
#include <string.h>

#include "report/name.h"
#include "report/options.h"

const char *place_basename(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

int places_init(struct places *p, const struct recording *r, struct resolver *resolver, const struct place_options *options) {
    *p = (struct places){.recording = r, .resolver = resolver, .options = *options};
    p->frames = calloc(r->frames.count + 1, sizeof *p->frames);
    return p->frames ? 0 : -ENOMEM;
}

void places_free(struct places *p) {
    strings_free(&p->texts);
    strings_free(&p->keys);
    free(p->frames);
    vec_free(&p->items);
    vec_free(&p->chains);
    buffer_free(&p->scratch);
    *p = (struct places){0};
}

/* Text of the view's style from raw text, interned; `suffix` is ours and needs no cleaning. */
static int intern_text(struct places *p, const char *text, size_t length, const char *suffix, uint32_t *ret) {
    struct buffer *b = &p->scratch;
    buffer_clear(b);
    text_put(b, p->options.style, text, length);
    if (!b->failed && !b->length)
        buffer_put(b, "[unknown]", 9); /* nothing but spaces: consumers drop empty frames */
    buffer_put(b, suffix, strlen(suffix));
    return b->failed ? -ENOMEM : strings_intern(&p->texts, (char *)b->data, b->length, ret);
}

static int intern_place(struct places *p, const struct place *place, uint32_t *ret) {
    int r = strings_intern(&p->keys, (const char *)place, sizeof *place, ret);
    if (r < 0 || *ret < p->items.count)
        return r;
    struct place *new = vec_push(&p->items);
    if (!new)
        return -ENOMEM;
    *new = *place;
    return 0;
}

static int intern_empty(struct places *p, struct place *ret) {
    uint32_t empty;
    int r = strings_intern(&p->texts, "", 0, &empty);
    *ret = (struct place){empty, empty, empty};
    return r;
}

int places_of_label(struct places *p, const char *label, uint32_t *ret) {
    struct place place;
    int r = intern_empty(p, &place);
    if (r == 0)
        r = intern_text(p, label, strlen(label), "", &place.function);
    return r < 0 ? r : intern_place(p, &place, ret);
}

int places_of_comm(struct places *p, const char *comm, uint32_t *ret) {
    struct buffer joined = {0};
    text_put(&joined, p->options.style, comm, strlen(comm));
    for (size_t i = 0; i < joined.length; i++)
        if (joined.data[i] == ' ' || (i == 0 && joined.data[i] == '#'))
            joined.data[i] = '_';
    buffer_put_u8(&joined, 0);
    int r = joined.failed ? -ENOMEM : places_of_label(p, (const char *)joined.data, ret);
    buffer_free(&joined);
    return r;
}

/* Where a frame is, for people, when nobody knows its function. */
static const char *module_name(const struct places *p, const struct recording_frame *frame) {
    if (frame->kind == FRAME_ELIDED || frame->kind == FRAME_SCOPE)
        return "";
    return frame->module == RECORDING_NONE ? "[unknown]" : place_basename(p->recording->modules.items[frame->module].path);
}

static int intern_function(struct places *p, const struct recording_frame *frame, const struct recording_location *location,
                           uint32_t *ret) {
    struct buffer name = {0};
    const char *known = location ? location->function : NULL;
    if (frame->kind == FRAME_ELIDED)
        buffer_printf(&name, "[frames cut]");
    else if (frame->kind == FRAME_SCOPE) /* in brackets, as all that is no function */
        buffer_printf(&name, "[%s]", p->recording->sites.items[frame->address].name);
    else if (known && *known && (frame->kind == FRAME_NATIVE || frame->kind == FRAME_KERNEL) && !p->options.full_names)
        name_put_short(&name, known, strlen(known));
    else if (known && *known)
        buffer_put(&name, known, strlen(known));
    else if (p->options.keys & KEY_MODULE || frame->module == RECORDING_NONE)
        buffer_printf(&name, "[unknown]");
    else {
        const char *module = module_name(p, frame); /* no column tells the module: the name does */
        buffer_printf(&name, *module == '[' ? "%s" : "[%s]", module);
    }
    const char *suffix = p->options.annotate_kernel && frame->kind == FRAME_KERNEL         ? "_[k]"
                         : p->options.annotate_scopes && frame->kind == FRAME_SCOPE        ? "_[s]"
                         : p->options.annotate_inlined && location && location->is_inlined ? "_[i]"
                                                                                           : "";
    int r = name.failed ? -ENOMEM : intern_text(p, (char *)name.data, name.length, suffix, ret);
    buffer_free(&name);
    return r;
}

static int intern_line(struct places *p, const struct recording_location *location, uint32_t *ret) {
    struct buffer line = {0};
    if (location && location->file)
        buffer_printf(&line, "%s:%u", location->file, location->line);
    else
        buffer_printf(&line, "[unknown]");
    int r = line.failed ? -ENOMEM : intern_text(p, (char *)line.data, line.length, "", ret);
    buffer_free(&line);
    return r;
}

static int add_place(struct places *p, const struct recording_frame *frame, const struct recording_location *location) {
    struct place place;
    int r = intern_empty(p, &place);
    const char *module = module_name(p, frame);
    if (r == 0 && p->options.keys & KEY_MODULE && *module)
        r = intern_text(p, module, strlen(module), "", &place.module);
    if (r == 0 && p->options.keys & KEY_FUNCTION)
        r = intern_function(p, frame, location, &place.function);
    if (r == 0 && p->options.keys & KEY_LINE)
        r = intern_line(p, location, &place.line);
    uint32_t id;
    if (r == 0)
        r = intern_place(p, &place, &id);
    if (r < 0)
        return r;
    uint32_t *new = vec_push(&p->chains);
    if (!new)
        return -ENOMEM;
    *new = id;
    return 0;
}

static int resolve_frame(struct places *p, uint32_t id) {
    const struct recording_frame *frame = &p->recording->frames.items[id];
    const struct recording_location *locations = NULL;
    uint32_t count = resolver_find(p->resolver, frame, &locations), first = (uint32_t)p->chains.count;
    int r = 0;
    if (count == 0)
        r = add_place(p, frame, NULL);
    for (uint32_t i = count; r == 0 && i > (p->options.inlines || !count ? 0 : count - 1); i--)
        r = add_place(p, frame, &locations[i - 1]);
    if (r == 0)
        p->frames[id] = (struct place_range){
            .first = first,
            .count = (uint32_t)p->chains.count - first,
            .is_unnamed = frame->kind != FRAME_ELIDED && frame->kind != FRAME_SCOPE && (!count || !locations[count - 1].function),
        };
    return r;
}

int places_of_frame(struct places *p, uint32_t frame, const uint32_t **ret, uint32_t *ret_count) {
    if (!p->frames[frame].count) {
        int r = resolve_frame(p, frame);
        if (r < 0)
            return r;
    }
    *ret = p->chains.items + p->frames[frame].first;
    *ret_count = p->frames[frame].count;
    return 0;
}
