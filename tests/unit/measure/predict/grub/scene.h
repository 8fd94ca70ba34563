/*
 * A machine for GRUB to be predicted on: a folder that is made and removed with each test, with an EFI system partition
 * (hd0,gpt1) and a boot partition (hd0,gpt2) whose files tests write.
 *
 *     struct scene *scene = scene_new();
 *     scene_write(scene, "boot/grub/grub.cfg", "echo hello\n");
 *     scene_predict(scene);
 *     scene_assert_commands(scene, "echo hello", NULL);
 *
 * The ESP's grub.cfg hands over to (hd0,gpt2)/grub/grub.cfg, as Debian's does; /vmlinuz and /initrd.img are there.
 */
#pragma once

#include "measure/predict/grub/grub.h"

#define SCENE_PATH 256
#define SCENE_BOOT_UUID "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"

struct scene {
    char folder[32];
    char esp[SCENE_PATH], boot_folder[SCENE_PATH];
    struct boot_place items[3];
    struct boot_places places;
    struct grub_request request;
    struct grub_boot boot;
    struct error error;
};

/* cmocka's setup and teardown, with *state the scene. */
int scene_setup(void **state);
int scene_teardown(void **state);

/* Writes a file below the scene's folder, "boot/…" or "esp/…", with the folders above it. */
void scene_write(struct scene *scene, const char *path, const char *text);
void scene_write_bytes(struct scene *scene, const char *path, const void *bytes, size_t size);

/* "FOLDER/PATH", in a buffer of its own. */
const char *scene_path(const struct scene *scene, const char *path);

/* Predicts: it must go well. What the last one gave is freed. */
void scene_predict(struct scene *scene);

/* Predicts with this grub.cfg: it must fail with ERROR_FAILED, and the text have `part` in it. */
void scene_refuse(struct scene *scene, const char *config, const char *part);

/* Predicts with this grub.cfg, to which an entry is added that boots; the texts of PCR 8 from the first command of the
 * configuration up to the entry must be these, without "grub_cmd: ", NULL at the end. */
void scene_expect(struct scene *scene, const char *config, ...) __attribute__((sentinel));

/* The number of events of that PCR with that whole text. */
size_t scene_count(const struct scene *scene, unsigned pcr, const char *text);

/* True when there is a command like this, without "grub_cmd: ". */
bool scene_has(const struct scene *scene, const char *command);
