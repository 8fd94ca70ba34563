#include "scene.h"

#include "base/cleanup.h"
#include "base/encode.h"
#include "base/file.h"
#include "log-builder.h"
#include "measure/event-type.h"
#include "measure/predict/grub/environment.h"
#include "measure/replay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RECORDED "debian12-grub-mkconfig/"
#define KNOWN_FILES 8

/* Files of which the recording has the hash alone. */
struct known {
    struct grub_known_file files[KNOWN_FILES];
    char paths[KNOWN_FILES][SCENE_PATH];
    struct digest digests[KNOWN_FILES];
    size_t count;
};

static void copy(struct scene *scene, const char *name, const char *to)
{
    cleanup(free_ptr) char *bytes = NULL;
    char path[SCENE_PATH];
    size_t size;

    snprintf(path, sizeof path, "%s/" RECORDED "%s", recorded_folder, name);
    assert_int_equal(file_read(path, 65536, &bytes, &size, &scene->error), 0);
    scene_write_bytes(scene, to, bytes, size);
}

/* GRUB reads these; grub.cfg and grubenv are there themselves. */
static bool is_wanted(const char *path)
{
    return strstr(path, "/vmlinuz") || strstr(path, "/initrd") || strstr(path, "/command.lst") ||
           strstr(path, "/fs.lst") || strstr(path, "/crypto.lst") || strstr(path, "/terminal.lst");
}

static void read_sums(struct scene *scene, struct known *known)
{
    char path[SCENE_PATH], line[256];
    FILE *stream;

    snprintf(path, sizeof path, "%s/" RECORDED "sha256sums", recorded_folder);
    stream = fopen(path, "r");
    assert_non_null(stream);
    while (fgets(line, sizeof line, stream)) {
        size_t i = known->count;

        line[strcspn(line, "\n")] = '\0';
        if (!is_wanted(line))
            continue;
        assert_true(i < KNOWN_FILES);
        line[64] = '\0';
        assert_true(hex_decode(line, known->digests[i].bytes, DIGEST_BYTES));
        snprintf(known->paths[i], sizeof known->paths[i], "%s%s", scene->folder, line + 66);
        known->files[i] = (struct grub_known_file){
            .path = known->paths[i], .size = 1, .digest = known->digests[i].bytes, .sha256 = &known->digests[i]
        };
        known->count++;
    }
    fclose(stream);
    scene->request.known_files = known->files;
    scene->request.known_file_count = known->count;
}

/* The machine of the recording, with grubenv as it was when it was installed. */
static void furnish(struct scene *scene, struct known *known)
{
    copy(scene, "esp-grub.cfg", "esp/EFI/debian/grub.cfg");
    copy(scene, "grub.cfg", "boot/grub/grub.cfg");
    copy(scene, "grubenv", "boot/grub/grubenv");
    read_sums(scene, known);
}

static bool is_grubs(const struct event *event)
{
    return event->type == EVENT_IPL && (event->pcr == 8 || event->pcr == 9);
}

/* The first event behind those of the configuration in GRUB's image: the first file. */
static size_t first_event(const struct event_log *log)
{
    size_t i = 0;

    while (log->events[i].pcr != 9)
        assert_true(++i < log->count);
    return i;
}

static void assert_event(const struct event *event, const uint8_t *digest, const struct extend *item)
{
    assert_int_equal(item->pcr, event->pcr);
    assert_string_equal(item->text, event->data.bytes);
    assert_memory_equal(item->digest, digest, 32);
}

/* Event by event; between the kernel's file and the next event of GRUB's, PCR 4 has the kernel. */
static void assert_log(const struct scene *scene, const char *name)
{
    cleanup(event_log_free) struct event_log log = { 0 };
    struct error error;
    size_t at = 0;
    int bank;

    assert_int_equal(event_log_read(recorded_path(name, "bin"), &log, &error), 0);
    bank = event_log_bank(&log, HASH_SHA256);
    for (size_t i = first_event(&log); i < log.count; i++) {
        if (log.events[i].pcr == 4)
            assert_int_equal(at, scene->boot.kernel_index + 1);
        if (!is_grubs(&log.events[i]))
            continue;
        assert_true(at < scene->boot.extends.count);
        assert_event(&log.events[i], log.events[i].digest[bank], &scene->boot.extends.items[at++]);
    }
    assert_int_equal(at, scene->boot.extends.count);
}

/* The constant part from the log, the rest predicted: the values that the machine had. */
static void assert_values(const struct scene *scene, const char *name)
{
    cleanup(event_log_free) struct event_log log = { 0 };
    struct pcr_values values = { .bank = HASH_SHA256, .mask = 1u << 8 | 1u << 9 };
    char line[128], text[65];
    struct error error;
    size_t found = 0;
    FILE *stream;

    assert_int_equal(event_log_read(recorded_path(name, "bin"), &log, &error), 0);
    for (size_t i = 0; i < first_event(&log); i++)
        if (log.events[i].pcr == 8)
            assert_int_equal(pcr_extend(&values, 8, (const char *)log.events[i].data.bytes + 10,
                                        log.events[i].data.size - 11, &error),
                             0);
    assert_int_equal(extend_list_apply(&scene->boot.extends, &values, &error), 0);
    stream = fopen(recorded_path(name, "pcrs"), "r");
    assert_non_null(stream);
    while (fgets(line, sizeof line, stream)) {
        unsigned pcr = (unsigned)strtoul(line, NULL, 10);
        uint8_t value[32];

        if (pcr != 8 && pcr != 9)
            continue;
        assert_int_equal(sscanf(line, "%*u %64s", text), 1);
        assert_true(hex_decode(text, value, sizeof value));
        assert_memory_equal(values.value[pcr], value, sizeof value);
        found++;
    }
    assert_int_equal(found, 2);
    fclose(stream);
}

static void plain(void **state)
{
    struct scene *scene = *state;
    struct known known = { 0 };

    furnish(scene, &known);
    scene_predict(scene);
    assert_log(scene, RECORDED "a");
    assert_values(scene, RECORDED "a");
    assert_int_equal(scene->boot.chosen, 0);
    assert_string_equal(scene->boot.menu[0].title, "Debian GNU/Linux");
    assert_string_equal(scene->boot.kernel, scene_path(scene, "boot/vmlinuz-6.1.0-56-cloud-amd64"));
    assert_int_equal(scene->boot.initrd_count, 1);
    assert_string_equal(scene->boot.initrds[0], scene_path(scene, "boot/initrd.img-6.1.0-56-cloud-amd64"));
    assert_string_equal(scene->boot.command_line, "root=UUID=86e224d5-2e88-4382-a7fc-a3a8681dcd50 ro console=ttyS0");
    assert_int_equal(scene->boot.written_count, 0);
    assert_false(scene->boot.waits);
    assert_int_equal(scene->boot.extends.file_count, 9);
}

static void menu(void **state)
{
    static const struct {
        const char *id;
        unsigned depth;
        bool submenu;
    } wanted[] = {
        { "gnulinux-simple-86e224d5-2e88-4382-a7fc-a3a8681dcd50", 0, false },
        { "gnulinux-advanced-86e224d5-2e88-4382-a7fc-a3a8681dcd50", 0, true },
        { "gnulinux-6.1.0-56-cloud-amd64-advanced-86e224d5-2e88-4382-a7fc-a3a8681dcd50", 1, false },
        { "gnulinux-6.1.0-56-cloud-amd64-recovery-86e224d5-2e88-4382-a7fc-a3a8681dcd50", 1, false },
        { "gnulinux-6.1.0-53-cloud-amd64-advanced-86e224d5-2e88-4382-a7fc-a3a8681dcd50", 1, false },
        { "gnulinux-6.1.0-53-cloud-amd64-recovery-86e224d5-2e88-4382-a7fc-a3a8681dcd50", 1, false },
        { "uefi-firmware", 0, false },
    };
    struct scene *scene = *state;
    struct known known = { 0 };

    furnish(scene, &known);
    scene_predict(scene);
    assert_int_equal(scene->boot.menu_count, array_size(wanted));
    for (size_t i = 0; i < array_size(wanted); i++) {
        const char *path = scene->boot.menu[i].path, *last = strrchr(path, '>');

        assert_string_equal(last ? last + 1 : path, wanted[i].id);
        assert_int_equal(scene->boot.menu[i].depth, wanted[i].depth);
        assert_int_equal(scene->boot.menu[i].submenu, wanted[i].submenu);
    }
}

/* The environment block as grub-reboot writes it; GRUB clears next_entry again. */
static void next(void **state)
{
    struct scene *scene = *state;
    struct known known = { 0 };
    cleanup(free_ptr) char *bytes = NULL;
    struct environment environment;
    struct digest digest;

    furnish(scene, &known);
    assert_int_equal(file_read(scene_path(scene, "boot/grub/grubenv"), 65536, &bytes, &environment.size, &scene->error),
                     0);
    environment.bytes = bytes;
    assert_true(environment_set(&environment, "next_entry", "1>2"));
    scene_write_bytes(scene, "boot/grub/grubenv", bytes, environment.size);
    scene_predict(scene);
    assert_log(scene, RECORDED "next");
    assert_values(scene, RECORDED "next");
    assert_int_equal(scene->boot.chosen, 4);
    assert_int_equal(scene->boot.written_count, 1);
    assert_string_equal(scene->boot.written[0].path, scene_path(scene, "boot/grub/grubenv"));
    assert_int_equal(scene->boot.written[0].size, 1024);
    assert_non_null(strstr((char *)scene->boot.written[0].bytes, "\nnext_entry=\n"));
    /* what the prediction rests on is the file as it is there */
    assert_int_equal(digest_compute(&digest, &(struct span){ bytes, environment.size }, 1, &scene->error), 0);
    for (size_t i = 0; i < scene->boot.extends.file_count; i++)
        if (strcmp(scene->boot.extends.files[i].path, scene->boot.written[0].path) == 0)
            assert_true(digest_equal(&scene->boot.extends.files[i].sha256, &digest));
}

/* The boot after that one, from the contents that GRUB leaves behind. */
static void after_next(void **state)
{
    struct scene *scene = *state;
    struct known known = { 0 };
    struct grub_boot first = { 0 };

    next(state);
    first = scene->boot;
    scene->boot = (struct grub_boot){ 0 };
    read_sums(scene, &known);
    known.files[7] = (struct grub_known_file){ .path = first.written[0].path,
                                               .bytes = first.written[0].bytes,
                                               .size = first.written[0].size };
    scene->request.known_files = known.files;
    scene->request.known_file_count = KNOWN_FILES;
    scene_predict(scene);
    grub_boot_free(&first);
    assert_int_equal(scene->boot.chosen, 0);
    assert_int_equal(scene->boot.written_count, 0);
}

static void usb_disk(void **state)
{
    struct scene *scene = *state;
    struct known known = { 0 };

    furnish(scene, &known);
    scene->items[0].disk = scene->items[1].disk = 1;
    scene->request.config = "(hd1,gpt1)/EFI/debian/grub.cfg";
    scene->request.prefix = scene->request.cmdpath = "(hd1,gpt1)/EFI/debian";
    scene->request.root = "hd1,gpt1";
    scene_predict(scene);
    assert_log(scene, RECORDED "usbhigh");
    assert_values(scene, RECORDED "usbhigh");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(plain, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(menu, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(next, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(after_next, scene_setup, scene_teardown),
        cmocka_unit_test_setup_teardown(usb_disk, scene_setup, scene_teardown),
    };

    recorded_folder = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
