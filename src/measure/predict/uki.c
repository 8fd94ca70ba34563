/* A unified kernel image: systemd's stub measures the sections, what lies beside the image, and starts the kernel. */
#include "measure/predict/uki-sections.h"

#include "base/cleanup.h"
#include "base/cursor.h"
#include "measure/predict/image-file.h"
#include "measure/predict/kernel-stub.h"
#include "measure/predict/uki-extras.h"
#include "measure/predict/wide.h"

#include <stdlib.h>
#include <string.h>

/* What an image that cannot be followed leaves unknown. */
#define STUB_PCRS                                                                                                      \
    (1u << PCR_BOOT_PROGRAM | 1u << PCR_KERNEL_STUB | 1u << PCR_IMAGE | 1u << PCR_COMMAND_LINE | 1u << PCR_EXTENSIONS)

struct uki {
    const struct image_start *start;
    const struct boot_file_handle *file;
    const struct pe_image *image;
    struct boot_prediction *prediction;
    struct uki_layout layout;
    struct pe_image kernel;
    struct hash_state *whole_state, *kernel_state, *initrd_state; /* two Authenticode hashes, and the initrd alone */
    struct hash_state *states[UKI_SECTION_COUNT];
    uint8_t *copies[UKI_SECTION_COUNT]; /* of small sections, whole in memory */
    struct wide command_line;
    bool given_up;
};

static void uki_free(struct uki *uki)
{
    pe_image_free(&uki->kernel);
    hash_state_free(&uki->whole_state);
    hash_state_free(&uki->kernel_state);
    hash_state_free(&uki->initrd_state);
    for (size_t i = 0; i < UKI_SECTION_COUNT; i++) {
        hash_state_free(&uki->states[i]);
        free(uki->copies[i]);
    }
    wide_free(&uki->command_line);
}

bool image_is_unified(const struct pe_image *image)
{
    for (size_t i = 0; i < image->section_count; i++)
        if (strncmp(image->sections[i].name, ".linux", 6) == 0 || strcmp(image->sections[i].name, ".sdmagic") == 0)
            return true;
    return false;
}

static int give_up(struct uki *uki, const char *why, struct error *error)
{
    uki->given_up = true;
    return boot_prediction_give_up(uki->prediction, STUB_PCRS, error, "the unified kernel image \"%s\" has %s",
                                   uki->file->path, why);
}

static bool is_kept(enum uki_section section)
{
    return section == UKI_COMMAND_LINE || section == UKI_SIGNATURE || section == UKI_PUBLIC_KEY;
}

/* The kernel inside; what is no kernel that the stub starts as it is gives the image up. */
static int open_kernel(struct uki *uki, struct error *error)
{
    const struct pe_section *linux_section = uki->layout.sections[UKI_LINUX];
    int r = pe_image_parse(uki->file->fd, uki->file->path, linux_section->content.start, linux_section->memory_size,
                           &uki->kernel, error);

    if (r)
        return r;
    if (!kernel_is_x86(&uki->kernel) || uki->kernel.machine != uki->image->machine ||
        uki->kernel.major_image_version < 1 || pe_image_has_gaps(&uki->kernel))
        return give_up(uki, "a kernel of a kind that is not followed", error);
    return 0;
}

/* Makes ready what one section's bytes go into. */
static int prepare_section(struct uki *uki, enum uki_section i, struct stretches *stretches, struct error *error)
{
    const struct pe_section *section = uki->layout.sections[i];
    uint64_t size = section ? uki_section_bytes(section) : 0;
    int r = 0;

    if (!section)
        return 0;
    if (i != UKI_SIGNATURE) {
        r = hash_start(uki->start->bank, &uki->states[i], error);
        r = r
                ?: stretches_add(stretches, (struct stretch){ section->content.start, size, .state = uki->states[i] },
                                 error);
    }
    if (r || !is_kept(i))
        return r;
    if (section->memory_size > UKI_SMALL_SECTION)
        return give_up(uki, "a large section where a small one is expected", error);
    uki->copies[i] = calloc(1, section->memory_size);
    if (!uki->copies[i])
        return error_no_memory(error);
    return stretches_add(stretches, (struct stretch){ section->content.start, size, .copy = uki->copies[i] }, error);
}

static int prepare(struct uki *uki, struct stretches *stretches, struct error *error)
{
    const struct pe_section *magic = uki->layout.magic, *initrd = uki->layout.sections[UKI_INITRD];
    const struct stretch check = { magic->content.start, uki_section_bytes(magic),
                                   .expected = (const uint8_t *)uki->layout.stub };
    enum hash_algorithm bank = uki->start->bank;
    int r = hash_start(bank, &uki->whole_state, error);

    r = r ?: hash_start(bank, &uki->kernel_state, error);
    r = r ?: hash_start(bank, &uki->initrd_state, error);
    r = r ?: stretches_add_image(stretches, uki->image, uki->whole_state, error);
    r = r ?: stretches_add_image(stretches, &uki->kernel, uki->kernel_state, error);
    r = r ?: stretches_add(stretches, check, error);
    for (enum uki_section i = 0; !r && i < UKI_SECTION_COUNT; i++)
        r = prepare_section(uki, i, stretches, error);
    if (!r && initrd)
        r = stretches_add(
            stretches, (struct stretch){ initrd->content.start, uki_section_bytes(initrd), .state = uki->initrd_state },
            error);
    return r;
}

/* The zeros that a section has in memory behind what the file has of it. */
static int add_zeros(const struct pe_section *section, struct hash_state *state, struct error *error)
{
    static const uint8_t zeros[UKI_MAX_ZEROS];

    return hash_add(state, zeros, (size_t)(section->memory_size - uki_section_bytes(section)), error);
}

static int add_sections(struct uki *uki, struct error *error)
{
    int r = 0;

    for (enum uki_section i = 0; !r && i < UKI_SECTION_COUNT; i++) {
        const char *name = uki_section_name(i);

        if (!uki->states[i])
            continue;
        r = extend_list_add_data(&uki->prediction->extends, PCR_IMAGE, name, strlen(name) + 1, name, error);
        r = r ?: add_zeros(uki->layout.sections[i], uki->states[i], error);
        r = r ?: add_hash(uki->prediction, PCR_IMAGE, uki->states[i], error, "%s of %s", name, uki->start->path);
    }
    return r;
}

/* Load options replace the image's own command line, unless Secure Boot is on; some firmware passes rubbish, which the
 * stub knows by its first character. */
static bool options_count(const struct uki *uki, struct span options)
{
    struct cursor cursor = cursor_over(options);
    uint16_t first;

    if (uki->start->secure_boot && uki->layout.sections[UKI_COMMAND_LINE])
        return false;
    return cursor_u16(&cursor, &first) && first >= 0x20;
}

static int add_command_line(struct uki *uki, const struct wide *wide, const char *text, struct error *error)
{
    return extend_list_add_data(&uki->prediction->extends, PCR_COMMAND_LINE, wide->bytes, wide->size, text, error);
}

/* The image's own command line; systemd-boot measures it too when it hands it over. */
static int read_own_command_line(struct uki *uki, struct error *error)
{
    const struct pe_section *section = uki->layout.sections[UKI_COMMAND_LINE];
    struct wide *wide = &uki->command_line;
    int r;

    if (!section)
        return 0;
    r = wide_from_utf8((const char *)uki->copies[UKI_COMMAND_LINE], section->memory_size, wide, error);
    if (r)
        return r;
    wide_clean_command_line(wide);
    return uki->start->own_options ? add_command_line(uki, wide, "the command line, by systemd-boot", error) : 0;
}

static int find_command_line(struct uki *uki, struct error *error)
{
    struct wide *wide = &uki->command_line;
    bool own = uki->start->own_options;
    int r = read_own_command_line(uki, error);

    if (r || !options_count(uki, own ? (struct span){ wide->bytes, wide->size } : uki->start->options))
        return r;
    if (!own) {
        wide_free(wide);
        r = wide_from_units(uki->start->options, wide, error);
        if (!r)
            wide_clean_command_line(wide);
    }
    return r ?: add_command_line(uki, wide, "the load options, by the stub", error);
}

/* Completes the initrd in its state with everything behind the section; *ret_any: there is one. */
static int add_initrds(struct uki *uki, bool *ret_any, struct error *error)
{
    static const struct {
        enum uki_section section;
        const char *name;
    } packed[] = { { UKI_SIGNATURE, "tpm2-pcr-signature.json" }, { UKI_PUBLIC_KEY, "tpm2-pcr-public-key.pem" } };
    const struct pe_section *section = uki->layout.sections[UKI_INITRD];
    struct combined_initrd initrd = { .state = uki->initrd_state, .size = section ? section->memory_size : 0 };
    int r = section ? add_zeros(section, uki->initrd_state, error) : 0;

    r = r ?: uki_extras_predict(uki->start, &initrd, uki->prediction, error);
    for (size_t i = 0; !r && i < array_size(packed); i++)
        if (uki->copies[packed[i].section])
            r = uki_section_archive(packed[i].name, uki->copies[packed[i].section],
                                    uki->layout.sections[packed[i].section]->memory_size, &initrd, error);
    *ret_any = section || initrd.archives > 0;
    return r;
}

static int add_phases(struct uki *uki, struct error *error)
{
    int r = 0;

    for (size_t i = 0; !r && i < uki->start->phase_count; i++)
        r = extend_list_add_data(&uki->prediction->extends, PCR_IMAGE, uki->start->phases[i],
                                 strlen(uki->start->phases[i]), uki->start->phases[i], error);
    return r;
}

/* All events, in the order of the boot. */
static int add_events(struct uki *uki, struct error *error)
{
    bool has_initrd = false;
    int r = add_hash(uki->prediction, PCR_BOOT_PROGRAM, uki->whole_state, error, "the unified kernel image %s",
                     uki->start->path);

    r = r ?: add_sections(uki, error);
    r = r ?: find_command_line(uki, error);
    r = r ?: add_initrds(uki, &has_initrd, error);
    if (!r && !uki->start->secure_boot)
        r = add_hash(uki->prediction, PCR_BOOT_PROGRAM, uki->kernel_state, error, "the kernel in %s", uki->start->path);
    r = r
            ?: kernel_stub_predict(&uki->kernel, (struct span){ uki->command_line.bytes, uki->command_line.size },
                                   has_initrd ? uki->initrd_state : NULL, uki->prediction, error);
    return r ?: add_phases(uki, error);
}

static int predict(struct uki *uki, struct error *error)
{
    cleanup(stretches_free) struct stretches stretches = { 0 };
    struct digest sha256;
    int r = open_kernel(uki, error);

    if (!r && !uki->given_up)
        r = prepare(uki, &stretches, error);
    if (r || uki->given_up)
        return r;
    r = one_pass_read(uki->file->fd, uki->file->path, uki->file->size, stretches.items, stretches.count, &sha256,
                      error);
    r = r ?: extend_list_add_source(&uki->prediction->extends, uki->file->path, &sha256, error);
    return r ?: add_events(uki, error);
}

int uki_predict(const struct image_start *start, const struct boot_file_handle *file, const struct pe_image *image,
                struct boot_prediction *prediction, struct error *error)
{
    cleanup(uki_free) struct uki uki = { .start = start, .file = file, .image = image, .prediction = prediction };
    cleanup(free_ptr) char *reason = NULL;
    int r = uki_layout_read(image, &uki.layout, &reason, error);

    if (!r && reason)
        return boot_prediction_give_up(prediction, STUB_PCRS, error, "%s", reason);
    if (!r && start->initrd_count > 0)
        return boot_prediction_give_up(prediction, BOOT_ALL_PCRS, error,
                                       "the stub of \"%s\" does not take a boot loader's initrds: it would stop",
                                       file->path);
    return r ?: predict(&uki, error);
}
