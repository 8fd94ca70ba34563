#include "scene.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define ENTRY "menuentry Linux --id linux {\n\tlinux /vmlinuz quiet\n\tinitrd /initrd.img\n}\nset timeout=5\n"

const char *scene_path(const struct scene *scene, const char *path)
{
    static char whole[SCENE_PATH];

    snprintf(whole, sizeof whole, "%s/%s", scene->folder, path);
    return whole;
}

void scene_write_bytes(struct scene *scene, const char *path, const void *bytes, size_t size)
{
    char whole[SCENE_PATH];
    FILE *stream;

    snprintf(whole, sizeof whole, "%s", scene_path(scene, path));
    for (char *slash = strchr(whole + strlen(scene->folder) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(whole, 0755);
        *slash = '/';
    }
    stream = fopen(whole, "w");
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, size, stream), size);
    assert_int_equal(fclose(stream), 0);
}

void scene_write(struct scene *scene, const char *path, const char *text)
{
    scene_write_bytes(scene, path, text, strlen(text));
}

int scene_setup(void **state)
{
    struct scene *scene = calloc(1, sizeof *scene);

    assert_non_null(scene);
    strcpy(scene->folder, "/tmp/bootseal-test.XXXXXX");
    assert_non_null(mkdtemp(scene->folder));
    snprintf(scene->esp, sizeof scene->esp, "%s/esp", scene->folder);
    snprintf(scene->boot_folder, sizeof scene->boot_folder, "%s/boot", scene->folder);
    scene->items[0] = (struct boot_place){ scene->esp, "1234-abcd", "", "gpt1", 0 };
    scene->items[1] = (struct boot_place){ scene->boot_folder, SCENE_BOOT_UUID, "boot", "gpt2", 0 };
    scene->places = (struct boot_places){ scene->items, 2 };
    scene->request = (struct grub_request){
        .bank = HASH_SHA256,
        .places = &scene->places,
        .secure_boot = true,
        .config = "(hd0,gpt1)/EFI/debian/grub.cfg",
        .prefix = "(hd0,gpt1)/EFI/debian",
        .cmdpath = "(hd0,gpt1)/EFI/debian",
        .root = "hd0,gpt1",
    };
    scene_write(scene, "esp/EFI/debian/grub.cfg",
                "search.fs_uuid " SCENE_BOOT_UUID " root\nset prefix=($root)'/grub'\nconfigfile $prefix/grub.cfg\n");
    scene_write(scene, "boot/vmlinuz", "a kernel");
    scene_write(scene, "boot/initrd.img", "an initrd");
    *state = scene;
    return 0;
}

int scene_teardown(void **state)
{
    struct scene *scene = *state;
    char command[SCENE_PATH];

    grub_boot_free(&scene->boot);
    snprintf(command, sizeof command, "rm -r %s", scene->folder);
    assert_int_equal(system(command), 0);
    free(scene);
    return 0;
}

void scene_predict(struct scene *scene)
{
    grub_boot_free(&scene->boot);
    if (grub_predict(&scene->request, &scene->boot, &scene->error) != 0)
        fail_msg("%s", scene->error.text);
}

void scene_refuse(struct scene *scene, const char *config, const char *part)
{
    grub_boot_free(&scene->boot);
    scene_write(scene, "boot/grub/grub.cfg", config);
    assert_int_equal(grub_predict(&scene->request, &scene->boot, &scene->error), ERROR_FAILED);
    if (!strstr(scene->error.text, part))
        fail_msg("\"%s\" has no \"%s\"", scene->error.text, part);
    assert_int_equal(scene->boot.extends.count, 0);
    assert_null(scene->boot.menu);
}

/* The place in the list behind the command that hands over to grub.cfg. */
static size_t first_of_config(const struct scene *scene)
{
    size_t i = 0;

    while (strcmp(scene->boot.extends.items[i].text, "grub_cmd: configfile (hd0,gpt2)/grub/grub.cfg") != 0)
        assert_true(++i < scene->boot.extends.count);
    return i + 1;
}

static const char *next_command(const struct scene *scene, size_t *at)
{
    while (scene->boot.extends.items[*at].pcr != 8)
        assert_true(++*at < scene->boot.extends.count);
    assert_true(strncmp(scene->boot.extends.items[*at].text, "grub_cmd: ", 10) == 0);
    return scene->boot.extends.items[(*at)++].text + 10;
}

void scene_expect(struct scene *scene, const char *config, ...)
{
    char whole[8192];
    va_list wanted;
    size_t at;

    snprintf(whole, sizeof whole, "%s" ENTRY, config);
    scene_write(scene, "boot/grub/grub.cfg", whole);
    scene_predict(scene);
    at = first_of_config(scene);
    va_start(wanted, config);
    for (const char *text = va_arg(wanted, const char *); text; text = va_arg(wanted, const char *))
        assert_string_equal(next_command(scene, &at), text);
    va_end(wanted);
    assert_string_equal(next_command(scene, &at),
                        "menuentry Linux --id linux {\n\tlinux /vmlinuz quiet\n\tinitrd /initrd.img\n}");
}

size_t scene_count(const struct scene *scene, unsigned pcr, const char *text)
{
    size_t count = 0;

    for (size_t i = 0; i < scene->boot.extends.count; i++)
        count += scene->boot.extends.items[i].pcr == pcr && strcmp(scene->boot.extends.items[i].text, text) == 0;
    return count;
}

bool scene_has(const struct scene *scene, const char *command)
{
    char text[1024];

    snprintf(text, sizeof text, "grub_cmd: %s", command);
    return scene_count(scene, 8, text) > 0;
}
