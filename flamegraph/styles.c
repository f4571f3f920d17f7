/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "flamegraph/options.h"
#include "flamegraph/xml.h"

static const char *styles_text(struct program_options *options, const char *text) {
    uint32_t id;
    return strings_intern(&options->texts, text, strlen(text), &id) < 0 ? NULL : strings_get(&options->texts, id);
}

/* Calls `take` for each line of the file, without its LF. */
static int styles_each_line(const char *path, int (*take)(struct program_options *, char *, size_t *), struct program_options *options,
                            size_t *count) {
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    _cleanup_free_ char *line = NULL;
    size_t size = 0;
    int r = 0;
    for (ssize_t length; r == 0 && (length = getline(&line, &size, file)) >= 0;) {
        if (length && line[length - 1] == '\n')
            line[length - 1] = '\0';
        r = take(options, line, count);
    }
    return r == 0 && ferror(file) ? -EIO : r;
}

static int palette_map_line(struct program_options *options, char *line, size_t *unused) {
    (void)unused;
    char *arrow = NULL;
    for (char *at = strstr(line, "->rgb("); at; at = strstr(at + 1, "->rgb("))
        arrow = at; /* the last one: "->" may be in a name */
    unsigned r, g, b;
    if (!arrow || sscanf(arrow, "->rgb(%3u,%3u,%3u)", &r, &g, &b) != 3 || r > 255 || g > 255 || b > 255)
        return 0;
    *arrow = '\0';
    struct flamegraph_name_style *style = vec_push(&options->styles);
    if (!style)
        return -ENOMEM;
    *style = (struct flamegraph_name_style){.color = r << 16 | g << 8 | b, .has_color = true, .name = styles_text(options, line)};
    return style->name ? 0 : -ENOMEM;
}

int options_read_palette_map(struct program_options *options) {
    int r = styles_each_line(PALETTE_MAP, palette_map_line, options, NULL);
    options->graph.styles = options->styles.items;
    options->graph.styles_count = options->styles.count;
    return r == -ENOENT ? 0 : r;
}

static void palette_map_put(void *context, const char *name, size_t length, uint32_t color) {
    fprintf(context, "%.*s->rgb(%u,%u,%u)\n", (int)length, name, color >> 16, color >> 8 & 255, color & 255);
}

int options_write_palette_map(struct program_options *options, struct flamegraph *graph) {
    FILE *file = fopen(PALETTE_MAP, "we");
    if (!file)
        return -errno;
    int r = flamegraph_each_name(graph, &options->graph, palette_map_put, file);
    bool failed = ferror(file);
    if (fclose(file) || failed)
        r = r < 0 ? r : -EIO;
    return r;
}

static int name_attributes_line(struct program_options *options, char *line, size_t *unknown) {
    char *next = line, *name = strsep(&next, "\t");
    if (!next)
        return 0;
    struct flamegraph_name_style *style = vec_push(&options->styles);
    if (!style || !(style->name = styles_text(options, name)))
        return -ENOMEM;
    for (char *attribute; (attribute = strsep(&next, "\t"));) {
        char *value = strchr(attribute, '=');
        if (!value)
            continue;
        *value++ = '\0';
        const char **field = !strcmp(attribute, "title")   ? &style->title
                             : !strcmp(attribute, "href")  ? &style->href
                             : !strcmp(attribute, "class") ? &style->class
                                                           : NULL;
        size_t length = strlen(value); /* flamegraph.pl's examples quote values */
        if (length >= 2 && value[0] == '"' && value[length - 1] == '"') {
            value[length - 1] = '\0';
            value++;
        }
        if (!field || (field == &style->href && !xml_link_is_safe(value))) {
            (*unknown)++;
            continue;
        }
        if (!(*field = styles_text(options, value)))
            return -ENOMEM;
    }
    return 0;
}

int options_read_name_attributes(struct program_options *options, size_t *ret_unknown) {
    *ret_unknown = 0;
    int r = styles_each_line(options->name_attributes, name_attributes_line, options, ret_unknown);
    options->graph.styles = options->styles.items;
    options->graph.styles_count = options->styles.count;
    return r;
}
