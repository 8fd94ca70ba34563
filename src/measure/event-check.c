#include "measure/event-check.h"

#include "base/cleanup.h"
#include "base/cursor.h"
#include "measure/describe.h"
#include "measure/efi-variable.h"
#include "measure/event-type.h"
#include "measure/text.h"

#include <string.h>

#define CANDIDATES_MAX 3

/* The parts of an event's data of which one should have been hashed. */
struct candidates {
    struct span spans[CANDIDATES_MAX];
    size_t count;
};

static void add(struct candidates *candidates, struct span span)
{
    candidates->spans[candidates->count++] = span;
}

/* All of it, or the variable's data alone: so EDK II measures EV_EFI_VARIABLE_BOOT, and some firmware authorities. */
static void add_variable_data(struct candidates *candidates, const struct event *event)
{
    struct efi_variable variable;

    add(candidates, event->data);
    if (efi_variable_parse(event->data, &variable))
        add(candidates, variable.data);
}

/* Bytes up to the NUL that ends the text: what is behind one is not shown, and must not pass as proven. */
static size_t utf16_size(struct span text)
{
    const uint8_t *bytes = text.bytes;
    size_t size = 0;

    while (size + 1 < text.size && (bytes[size] != 0 || bytes[size + 1] != 0))
        size += 2;
    return size;
}

/* GRUB hashes a text without the prefix and without the NUL; systemd the whole UTF-16 text, with or without its NUL. */
static void add_loader_text(struct candidates *candidates, const struct event *event)
{
    static const char prefix[] = "kernel_cmdline: ";
    struct cursor cursor = cursor_over(event->data);
    struct span text, start;

    if (grub_command_text(event, &text)) {
        add(candidates, text);
    } else if (event->pcr == 8 && cursor_span(&cursor, strlen(prefix), &start) &&
               memcmp(start.bytes, prefix, strlen(prefix)) == 0) {
        text = cursor_rest(&cursor);
        add(candidates, (struct span){ text.bytes, strnlen(text.bytes, text.size) });
    } else if (event->pcr == 12 && text_is_utf16(event->data)) {
        size_t size = utf16_size(event->data);

        add(candidates, (struct span){ event->data.bytes, size });
        if (size < event->data.size)
            add(candidates, (struct span){ event->data.bytes, size + 2 });
    }
}

static struct candidates candidates_of(const struct event *event)
{
    struct candidates candidates = { 0 };

    switch (event->type) {
    case EVENT_SEPARATOR:
    case EVENT_ACTION:
    case EVENT_EFI_ACTION:
    case EVENT_S_CRTM_VERSION:
    case EVENT_VARIABLE_DRIVER_CONFIG:
    case EVENT_GPT:
        add(&candidates, event->data);
        break;
    case EVENT_VARIABLE_BOOT:
    case EVENT_VARIABLE_BOOT2:
    case EVENT_VARIABLE_AUTHORITY:
        add_variable_data(&candidates, event);
        break;
    case EVENT_IPL:
        add_loader_text(&candidates, event);
        break;
    default:
        break;
    }
    return candidates;
}

int event_log_best_bank(const struct event_log *log, const struct event_log *other)
{
    static const enum hash_algorithm order[] = { HASH_SHA256, HASH_SHA384, HASH_SHA512, HASH_SHA1 };

    for (size_t i = 0; i < array_size(order); i++) {
        int place = event_log_bank(log, order[i]);
        int others = other ? event_log_bank(other, order[i]) : place;

        if (place >= 0 && log->banks[place].complete && others >= 0 && (!other || other->banks[others].complete))
            return place;
    }
    return -1;
}

enum event_check event_check(const struct event_log *log, const struct event *event)
{
    struct candidates candidates = candidates_of(event);
    int bank = event_log_best_bank(log, NULL);
    uint8_t digest[HASH_MAX_BYTES];
    struct error error;

    if (bank < 0 || candidates.count == 0)
        return EVENT_CHECK_NONE;
    for (size_t i = 0; i < candidates.count; i++) {
        if (hash_compute(log->banks[bank].algorithm, &candidates.spans[i], 1, digest, &error))
            return EVENT_CHECK_NONE;
        if (memcmp(digest, event->digest[bank], log->banks[bank].size) == 0)
            return EVENT_CHECK_PROVEN;
    }
    return EVENT_CHECK_DIFFERS;
}
