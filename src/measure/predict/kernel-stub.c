#include "measure/predict/kernel-stub.h"

#include "base/cleanup.h"
#include "base/cursor.h"
#include "measure/predict/wide.h"

#include <string.h>

#define PCR_KERNEL_STUB 9

/* Linux, Documentation/arch/x86/boot.rst */
#define HEADER_MAGIC 0x202
#define HEADER_VERSION 0x20e /* where the version's text is, counted from 0x200 */
#define VERSION_BASE 0x200

/* The kernels whose stubs were seen to measure as this file says. */
#define KNOWN_VERSION "6.1"

bool kernel_is_x86(const struct pe_image *image)
{
    return (image->machine == PE_MACHINE_X64 || image->machine == PE_MACHINE_IA32) &&
           image->headers_read >= HEADER_VERSION + 2 && memcmp(image->headers + HEADER_MAGIC, "HdrS", 4) == 0;
}

/* "6.1.0-50-amd64 (…) …", of which the first word is kept. */
static bool read_version(const struct pe_image *image, char ret[64])
{
    struct cursor cursor = cursor_new(image->headers, image->headers_read);
    uint16_t place;
    struct span rest;

    if (!kernel_is_x86(image) || !cursor_skip(&cursor, HEADER_VERSION) || !cursor_u16(&cursor, &place))
        return false;
    cursor.offset = 0;
    if (place == 0 || !cursor_skip(&cursor, VERSION_BASE + (uint64_t)place))
        return false;
    rest = cursor_rest(&cursor);
    for (size_t i = 0; i < 63 && i < rest.size; i++) {
        char c = ((const char *)rest.bytes)[i];

        if (c == ' ' || c == '\0') {
            ret[i] = '\0';
            return true;
        }
        ret[i] = c;
    }
    return false;
}

static bool version_is_known(const char *version)
{
    return strncmp(version, KNOWN_VERSION ".", strlen(KNOWN_VERSION) + 1) == 0;
}

/* Words that make the stub do something else than hand on and measure what it was given. */
static int check_command_line(const char *command_line, bool has_initrd, struct boot_prediction *prediction,
                              struct error *error)
{
    if (strstr(command_line, "noinitrd"))
        return boot_prediction_give_up(prediction, 1u << PCR_KERNEL_STUB, error,
                                       "the command line has \"noinitrd\": then no initrd is measured");
    if (!has_initrd && strstr(command_line, "initrd="))
        return boot_prediction_give_up(prediction, 1u << PCR_KERNEL_STUB, error,
                                       "the kernel itself loads the initrd that its command line names, and does not "
                                       "measure it");
    return 0;
}

static int read_command_line(struct span load_options, struct boot_prediction *prediction, struct error *error)
{
    cleanup(wide_free) struct wide wide = { 0 };
    int r = wide_from_units(load_options, &wide, error);

    free(prediction->command_line);
    prediction->command_line = NULL;
    return r ?: wide_to_utf8(&wide, &prediction->command_line, error);
}

/* Linux takes load options that start like a whole boot entry (UEFI 2.10, 3.1.3: attributes first) for one, and its
 * optional data for the command line. No text starts so. */
#define LOAD_OPTION_ATTRIBUTES 0x1f0bu

static bool looks_like_entry(struct span load_options)
{
    struct cursor cursor = cursor_over(load_options);
    uint32_t attributes;

    return cursor_u32(&cursor, &attributes) && !(attributes & ~LOAD_OPTION_ATTRIBUTES) && cursor_left(&cursor) >= 2;
}

static int add_initrd(struct hash_state *initrd, struct boot_prediction *prediction, struct error *error)
{
    uint8_t digest[HASH_MAX_BYTES];

    return hash_finish(initrd, digest, error)
               ?: extend_list_add(&prediction->extends, PCR_KERNEL_STUB, digest, "the initrd", error);
}

int kernel_stub_predict(const struct pe_image *image, struct span load_options, struct hash_state *initrd,
                        struct boot_prediction *prediction, struct error *error)
{
    char version[64];
    int r = 0;

    if (!read_version(image, version))
        return boot_prediction_give_up(prediction, 1u << PCR_KERNEL_STUB, error,
                                       "the kernel in \"%s\" does not tell its version", image->path);
    if (!version_is_known(version))
        return boot_prediction_give_up(
            prediction, 1u << PCR_KERNEL_STUB, error,
            "what the EFI stub of Linux %s measures is not known; that of " KNOWN_VERSION " is", version);
    if (looks_like_entry(load_options))
        return boot_prediction_give_up(prediction, 1u << PCR_KERNEL_STUB, error,
                                       "the load options for \"%s\" are no command line", image->path);
    if (load_options.size > 0) {
        r = read_command_line(load_options, prediction, error);
        r = r
                ?: extend_list_add_data(&prediction->extends, PCR_KERNEL_STUB, load_options.bytes, load_options.size,
                                        "the kernel's load options", error);
        r = r ?: check_command_line(prediction->command_line, initrd, prediction, error);
    }
    if (!r && initrd)
        r = add_initrd(initrd, prediction, error);
    return r;
}
