/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "tests/oracle/replay.h"
#include "tests/oracle/snapshot.h"

static int put_mapping(FILE *file, const struct replay_scene *scene, const struct process_mapping *mapping) {
    struct unwind_place place = {.start = mapping->start, .end = mapping->end};
    const struct replay_module *module = replay_find(scene, mapping->start, &place.bias);
    if (!module)
        return 0;
    const struct elf_info *info = elf_image_info(module->module->image);
    bool has_file = module->module->kind == PROCESS_MODULE_FILE;
    uint64_t length = has_file || !info->segment_count ? 0 : info->segments[0].file_size;
    const uint8_t *image = length ? elf_image_bytes(module->module->image, info->segments[0].address, length) : NULL;
    return snapshot_put_module(file, &place, module->module->path, image, length);
}

static int put_space(FILE *file, const struct replay_scene *scene) {
    int r = snapshot_put_forget(file);
    for (size_t i = 0; r == 0 && i < scene->maps->items.count; i++)
        r = put_mapping(file, scene, &scene->maps->items.items[i]);
    return r;
}

int replay_snapshots(struct replay *replay, FILE *file, uint64_t *skipped) {
    struct replay_scene scene;
    uint64_t generation = 0;
    bool has_space = false;
    int r;
    while ((r = replay_next(replay, &scene, skipped)) > 0) {
        r = has_space && generation == scene.maps->generation ? 0 : put_space(file, &scene);
        if (r == 0)
            r = snapshot_put_sample(file, scene.tid, scene.time, &scene.sample);
        if (r < 0)
            return r;
        generation = scene.maps->generation;
        has_space = true;
    }
    return r < 0 ? r : fflush(file) ? -errno : 0;
}
