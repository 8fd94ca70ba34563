#include "measure/describe.h"

#include "base/cleanup.h"
#include "base/cursor.h"
#include "measure/text.h"

#include <stdlib.h>
#include <string.h>

#define GRUB_COMMAND "grub_cmd: "
#define GRUB_KERNEL_COMMAND_LINE "kernel_cmdline: "

/* The PCRs into which each of them measures (facts of GRUB 2.06, shim 15, systemd 252). */
enum {
    PCR_GRUB_COMMANDS = 8,
    PCR_GRUB_FILES = 9,
    PCR_IMAGE = 11,
    PCR_COMMAND_LINE = 12,
    PCR_EXTENSIONS = 13,
    PCR_OWNER_KEYS = 14
};

/* Linux, drivers/firmware/efi/libstub; systemd, src/fundamental/tpm2-pcr.h */
enum tag {
    TAG_INITRD = 0x8f3b22ec,
    TAG_LOAD_OPTIONS = 0x8f3b22ed,
    TAG_LOADER_CONFIGURATION = 0xf5bc582a,
    TAG_DEVICETREE_ADDON = 0x6c46f751,
    TAG_INITRD_ADDON = 0x49dffe0f,
    TAG_MICROCODE_ADDON = 0xdac08e1a,
};

/* Up to the NUL that ends GRUB's texts: what is behind one is neither shown nor measured. */
static struct span without_nul(struct span text)
{
    return (struct span){ text.bytes, strnlen(text.bytes, text.size) };
}

/* True when the text starts with the prefix, which is then cut. */
static bool cut_prefix(struct span *text, const char *prefix)
{
    size_t length = strlen(prefix);

    if (text->size < length || memcmp(text->bytes, prefix, length) != 0)
        return false;
    *text = (struct span){ (const char *)text->bytes + length, text->size - length };
    return true;
}

bool grub_command_text(const struct event *event, struct span *ret)
{
    *ret = without_nul(event->data);
    return event->pcr == PCR_GRUB_COMMANDS && cut_prefix(ret, GRUB_COMMAND);
}

static const char *last_part(const char *path)
{
    const char *last = path;

    for (; *path; path++)
        if (*path == '/' || *path == '\\')
            last = path + 1;
    return last;
}

bool looks_like_kernel(const char *path)
{
    const char *name = last_part(path);

    return strncmp(name, "vmlinuz", 7) == 0 || strncmp(name, "bzImage", 7) == 0 || strcmp(name, "linux") == 0;
}

bool looks_like_initrd(const char *path)
{
    const char *name = last_part(path);

    return strncmp(name, "initrd", 6) == 0 || strncmp(name, "initramfs", 9) == 0;
}

/* "Debian --class debian {…}" up to the options or the body: menu entries are measured with no quotes. */
static size_t title_length(const char *text)
{
    const char *options = strstr(text, " --"), *body = strstr(text, " {");
    size_t length = strlen(text);

    if (options && (size_t)(options - text) < length)
        length = (size_t)(options - text);
    if (body && (size_t)(body - text) < length)
        length = (size_t)(body - text);
    return length;
}

/* "set default" of "set default=0", "default" of "default=0", else the first word. */
static size_t command_length(const char *text)
{
    size_t length = strcspn(text, " =");

    if (length == 3 && strncmp(text, "set ", 4) == 0)
        length = 4 + strcspn(text + 4, " =");
    return length;
}

static void put_command(const char *text, struct description *ret)
{
    static const char *const menus[] = { "menuentry ", "submenu " };

    for (size_t i = 0; i < array_size(menus); i++) {
        size_t length = strlen(menus[i]);

        if (strncmp(text, menus[i], length) == 0) {
            ret->kind = COMPONENT_MENU_ENTRY;
            fputc('"', ret->name);
            fwrite(text + length, 1, title_length(text + length), ret->name);
            fputc('"', ret->name);
            fputs(text, ret->value);
            return;
        }
    }
    ret->kind = COMPONENT_GRUB_COMMAND;
    fwrite(text, 1, command_length(text), ret->name);
    fputs(text, ret->value);
}

/* Bytes of a log as a string fit to be shown; NULL when memory is short. */
static char *new_text(struct span bytes)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    if (!stream)
        return NULL;
    text_put(stream, bytes);
    if (fclose(stream) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* True when one of the words is the path. */
static bool has_word(const char *words, const char *path)
{
    while (*words) {
        size_t length = strcspn(words, " ");

        if (length > 0 && length == strlen(path) && strncmp(words, path, length) == 0)
            return true;
        words += length + (words[length] != '\0');
    }
    return false;
}

static bool put_file(const char *path, struct description *ret)
{
    size_t kernel_length = strcspn(ret->kernel, " ");
    bool is_kernel = kernel_length && strlen(path) == kernel_length && strncmp(path, ret->kernel, kernel_length) == 0;

    if (is_kernel || looks_like_kernel(path))
        ret->kind = COMPONENT_KERNEL;
    else if (has_word(ret->initrd, path) || looks_like_initrd(path))
        ret->kind = COMPONENT_INITRD;
    else
        ret->kind = COMPONENT_BOOT_FILE;
    fputs(path, ret->name);
    return true;
}

/* systemd-stub names what it packs up for the initrd; any other text is the command line itself. */
static bool is_extension(const char *text)
{
    static const char *const names[] = { "Credentials initrd",      "Global credentials initrd",
                                         "System extension initrd", "Configuration extension initrd",
                                         "PCR signature initrd",    "PCR public key initrd" };

    for (size_t i = 0; i < array_size(names); i++)
        if (strcmp(text, names[i]) == 0)
            return true;
    return false;
}

static bool put_name(const char *text, enum component_kind kind, struct description *ret)
{
    ret->kind = kind;
    fputs(text, ret->name);
    return true;
}

/* GRUB's kernel_cmdline; systemd-boot's and systemd-stub's, before systemd 251 in PCR 8. */
static bool put_command_line(uint32_t pcr, const char *text, struct description *ret)
{
    (void)pcr;
    ret->kind = COMPONENT_KERNEL_COMMAND_LINE;
    fputs(text, ret->value);
    return true;
}

static bool put_text(uint32_t pcr, const char *text, struct description *ret)
{
    if (pcr == PCR_GRUB_FILES && text[0])
        return put_file(text, ret);
    if (pcr == PCR_EXTENSIONS || (pcr == PCR_COMMAND_LINE && is_extension(text)))
        return put_name(text, COMPONENT_EXTENSION, ret);
    if (pcr == PCR_COMMAND_LINE || pcr == PCR_GRUB_COMMANDS)
        return put_command_line(pcr, text, ret);
    if (pcr == PCR_IMAGE && text[0] == '.')
        return put_name(text, COMPONENT_IMAGE_SECTION, ret);
    return pcr == PCR_OWNER_KEYS && put_name(text, COMPONENT_OWNER_KEYS, ret);
}

static bool describe_text(uint32_t pcr, struct span bytes, struct description *ret,
                          bool (*put)(uint32_t pcr, const char *text, struct description *ret))
{
    cleanup(free_ptr) char *text = new_text(bytes);

    return text && put(pcr, text, ret);
}

static bool put_grub_command(uint32_t pcr, const char *text, struct description *ret)
{
    (void)pcr;
    put_command(text, ret);
    return true;
}

bool describe_ipl_event(const struct event *event, struct description *ret)
{
    struct span text = without_nul(event->data);

    if (grub_command_text(event, &text))
        return describe_text(event->pcr, text, ret, put_grub_command);
    text = without_nul(event->data);
    if (event->pcr == PCR_GRUB_COMMANDS && cut_prefix(&text, GRUB_KERNEL_COMMAND_LINE))
        return describe_text(event->pcr, text, ret, put_command_line);
    if (text_is_utf16(event->data)) /* a NUL at its end is two bytes, one of which may belong to a character */
        text = event->data;
    return describe_text(event->pcr, text, ret, put_text);
}

/* TCG_PCClientTaggedEvent (PFP 10.4.2.2). */
bool describe_tagged_event(const struct event *event, struct description *ret)
{
    static const struct {
        enum tag tag;
        enum component_kind kind;
        const char *name;
    } tags[] = {
        { TAG_INITRD, COMPONENT_INITRD, "" },
        { TAG_LOAD_OPTIONS, COMPONENT_LOAD_OPTIONS, "" },
        { TAG_LOADER_CONFIGURATION, COMPONENT_LOADER_CONFIGURATION, "configuration (loader.conf)" },
        { TAG_DEVICETREE_ADDON, COMPONENT_EXTENSION, "device tree" },
        { TAG_INITRD_ADDON, COMPONENT_EXTENSION, "initrd" },
        { TAG_MICROCODE_ADDON, COMPONENT_EXTENSION, "microcode for the processor" },
    };
    struct cursor cursor = cursor_over(event->data);
    uint32_t tag, size;

    if (!cursor_u32(&cursor, &tag) || !cursor_u32(&cursor, &size) || !cursor_skip(&cursor, size))
        return false;
    for (size_t i = 0; i < array_size(tags); i++)
        if (tags[i].tag == tag) {
            ret->kind = tags[i].kind;
            fputs(tags[i].name, ret->name);
            return true;
        }
    return false;
}
