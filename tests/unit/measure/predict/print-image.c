/*
 * Prints what the start of an image measures, for tests in other languages.
 *
 * usage: print-image SECURE-BOOT(0|1) FOLDER PATH [OPTIONS] [INITRD]…
 *
 * One event a line: "PCR DIGEST TEXT"; then "unknown PCR REASON", "file SHA256 PATH", "command-line TEXT".
 */
#include "base/cleanup.h"
#include "base/encode.h"
#include "measure/predict/boot-image.h"
#include "measure/predict/wide.h"

#include <string.h>

static void print(const struct boot_prediction *prediction)
{
    const struct extend_list *list = &prediction->extends;
    char hex[HEX_TEXT(HASH_MAX_BYTES)];

    for (size_t i = 0; i < list->count; i++) {
        hex_encode(list->items[i].digest, hash_size(list->bank), hex);
        printf("%u %s %s\n", list->items[i].pcr, hex, list->items[i].text);
    }
    for (size_t i = 0; i < PCR_COUNT; i++)
        if (prediction->reasons[i])
            printf("unknown %zu %s\n", i, prediction->reasons[i]);
    for (size_t i = 0; i < list->file_count; i++) {
        hex_encode(list->files[i].sha256.bytes, DIGEST_BYTES, hex);
        printf("file %s %s\n", hex, list->files[i].path);
    }
    if (prediction->command_line)
        printf("command-line %s\n", prediction->command_line);
}

int main(int count, char **arguments)
{
    cleanup(boot_prediction_free) struct boot_prediction prediction = { 0 };
    cleanup(wide_free) struct wide options = { 0 };
    struct image_start start = { .bank = HASH_SHA256 };
    struct error error = { 0 };
    int r;

    if (count < 4)
        return 2;
    start.secure_boot = strcmp(arguments[1], "1") == 0;
    start.folder = arguments[2];
    start.path = arguments[3];
    r = boot_prediction_init(&prediction, start.bank, &error);
    if (!r && count > 4 && arguments[4][0]) {
        r = wide_from_utf8(arguments[4], strlen(arguments[4]), &options, &error);
        start.options = (struct span){ options.bytes, options.size };
    }
    if (count > 5) {
        start.initrds = (const char *const *)arguments + 5;
        start.initrd_count = (size_t)count - 5;
    }
    r = r ?: boot_image_predict(&start, &prediction, &error);
    if (r)
        printf("error %d %s\n", r, error.text);
    else
        print(&prediction);
    return r;
}
