#include "ask/recovery-entry.h"

#include "base/cleanup.h"
#include "base/recovery-key-text.h"

#include <stdarg.h>
#include <string.h>

#define BELL "\a"
#define ERASE_ONE "\b \b"
#define KEY_END 0x04  /* Ctrl+D */
#define KEY_KILL 0x15 /* Ctrl+U */
#define KEY_ESCAPE 0x1b
#define KEY_BACKSPACE 0x08
#define KEY_DELETE 0x7f

/* Groups that are complete. */
static size_t groups_of(const struct recovery_entry *entry)
{
    return entry->digits.size / RECOVERY_KEY_GROUP_DIGITS;
}

static void drop_to(struct recovery_entry *entry, size_t digits)
{
    explicit_bzero(entry->digits.bytes + digits, entry->digits.size - digits);
    entry->digits.size = digits;
}

/* The prompt once more, with an asterisk for each digit. */
static void append_line(const struct recovery_entry *entry, char ret_show[TERMINAL_SHOW_TEXT])
{
    char mask[RECOVERY_KEY_TEXT_SIZE + 2] = "";
    size_t used = strlen(ret_show), length = 0;

    for (size_t i = 0; i < entry->digits.size; i++) {
        mask[length++] = '*';
        if ((i + 1) % RECOVERY_KEY_GROUP_DIGITS == 0 && i + 1 < RECOVERY_KEY_DIGITS)
            mask[length++] = '-';
    }
    snprintf(ret_show + used, TERMINAL_SHOW_TEXT - used, "%s%s", entry->prompt, mask);
}

static void show_message(const struct recovery_entry *entry, char ret_show[TERMINAL_SHOW_TEXT], const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void show_message(const struct recovery_entry *entry, char ret_show[TERMINAL_SHOW_TEXT], const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(ret_show, TERMINAL_SHOW_TEXT, format, args);
    va_end(args);
    append_line(entry, ret_show);
}

static enum terminal_edit take_digit(struct recovery_entry *entry, uint8_t digit, char ret_show[TERMINAL_SHOW_TEXT])
{
    size_t groups;

    if (entry->digits.size == RECOVERY_KEY_DIGITS) {
        strcpy(ret_show, BELL);
        return TERMINAL_EDIT_MORE;
    }
    entry->digits.bytes[entry->digits.size++] = digit;
    strcpy(ret_show, "*");
    if (entry->digits.size % RECOVERY_KEY_GROUP_DIGITS != 0)
        return TERMINAL_EDIT_MORE;
    groups = groups_of(entry);
    if (recovery_key_group_is_good(entry->digits.bytes + entry->digits.size - RECOVERY_KEY_GROUP_DIGITS)) {
        strcpy(ret_show, groups < RECOVERY_KEY_GROUPS ? "*-" : "*");
        return TERMINAL_EDIT_MORE;
    }
    drop_to(entry, entry->digits.size - RECOVERY_KEY_GROUP_DIGITS);
    show_message(entry, ret_show, "*\ngroup %zu has a typo: go on from there\n", groups);
    return TERMINAL_EDIT_ANEW;
}

static void take_back(struct recovery_entry *entry, char ret_show[TERMINAL_SHOW_TEXT])
{
    size_t digits = entry->digits.size;
    bool dash = digits % RECOVERY_KEY_GROUP_DIGITS == 0 && digits < RECOVERY_KEY_DIGITS;

    if (digits == 0)
        return;
    drop_to(entry, digits - 1);
    strcpy(ret_show, dash ? ERASE_ONE ERASE_ONE : ERASE_ONE);
}

static enum terminal_edit take_enter(struct recovery_entry *entry, char ret_show[TERMINAL_SHOW_TEXT])
{
    if (entry->digits.size == 0 || entry->digits.size == RECOVERY_KEY_DIGITS)
        return TERMINAL_EDIT_DONE;
    show_message(entry, ret_show, "\ngroup %zu is not complete: go on from there (Ctrl+U starts anew)\n",
                 groups_of(entry) + 1);
    return TERMINAL_EDIT_MORE;
}

/* ECMA-48: ESC, then one byte, or "[" or "O" and bytes up to one from 0x40 to 0x7e. */
static bool skip_sequence(struct recovery_entry *entry, uint8_t byte)
{
    if (byte == KEY_ESCAPE) {
        entry->state = ENTRY_ESCAPE;
        return true;
    }
    if (entry->state == ENTRY_PLAIN)
        return false;
    if (entry->state == ENTRY_ESCAPE)
        entry->state = byte == '[' || byte == 'O' ? ENTRY_SEQUENCE : ENTRY_PLAIN;
    else if (byte >= 0x40 && byte <= 0x7e)
        entry->state = ENTRY_PLAIN;
    return true;
}

void recovery_entry_start(void *context)
{
    struct recovery_entry *entry = context;

    drop_to(entry, 0);
    entry->state = ENTRY_PLAIN;
}

enum terminal_edit recovery_entry_feed(void *context, uint8_t byte, char ret_show[TERMINAL_SHOW_TEXT])
{
    struct recovery_entry *entry = context;

    ret_show[0] = '\0';
    if (byte != '\n' && byte != '\r' && skip_sequence(entry, byte))
        return TERMINAL_EDIT_MORE;
    entry->state = ENTRY_PLAIN;
    switch (byte) {
    case '0' ... '9':
        return take_digit(entry, byte, ret_show);
    case '\n':
    case '\r':
        return take_enter(entry, ret_show);
    case KEY_BACKSPACE:
    case KEY_DELETE:
        take_back(entry, ret_show);
        return TERMINAL_EDIT_MORE;
    case KEY_KILL:
        drop_to(entry, 0);
        show_message(entry, ret_show, "\n");
        return TERMINAL_EDIT_ANEW;
    case KEY_END:
        return entry->digits.size == 0 ? TERMINAL_EDIT_END : TERMINAL_EDIT_MORE;
    case ' ':
    case '\t':
    case '-':
        return TERMINAL_EDIT_MORE;
    default:
        strcpy(ret_show, BELL);
        return TERMINAL_EDIT_MORE;
    }
}

static void free_entry(struct recovery_entry *entry)
{
    secret_free(&entry->digits);
}

int recovery_entry_ask(const char *path, const char *prompt, struct secret *ret, struct error *error)
{
    cleanup(free_entry) struct recovery_entry entry = { .prompt = prompt };
    const struct terminal_editor editor = { recovery_entry_start, recovery_entry_feed, &entry };
    int r = secret_new(&entry.digits, RECOVERY_KEY_DIGITS, error);

    if (!r)
        r = terminal_edit(path, prompt, &editor, error);
    if (!r)
        *ret = secret_take(&entry.digits);
    return r;
}
