#include "measure/predict/grub-start.h"

#include "base/cleanup.h"
#include "measure/describe.h"
#include "measure/event-check.h"
#include "measure/event-type.h"

#include <ctype.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_MAX_BYTES 4096

void grub_start_free(struct grub_start *start)
{
    free(start->config);
    free(start->prefix);
    free(start->cmdpath);
    free(start->root);
    extend_list_free(&start->commands);
    *start = (struct grub_start){ 0 };
}

/* The text of the file's event, as GRUB has it. NULL: memory is short. */
static char *text_of(struct span data)
{
    return strndup(data.bytes, data.size < NAME_MAX_BYTES ? data.size : NAME_MAX_BYTES);
}

/* "(hd0,gpt1)/EFI…" taken apart; false when it is something else. */
static bool parse_place(const char *name, unsigned *ret_disk, const char **ret_partition, size_t *ret_length)
{
    char *end;

    if (strncmp(name, "(hd", 3) != 0 || !isdigit((unsigned char)name[3]))
        return false;
    *ret_disk = (unsigned)strtoul(name + 3, &end, 10);
    *ret_partition = *end == ',' ? end + 1 : end;
    *ret_length = strcspn(*ret_partition, ")");
    return (*end == ',' || *end == ')') && (*ret_partition)[*ret_length] == ')';
}

bool grub_start_disk(const struct grub_log *log, unsigned *ret)
{
    cleanup(free_ptr) char *name = text_of(log->log->events[log->body].data);
    const char *partition;
    size_t length;

    return name && parse_place(name, ret, &partition, &length);
}

/* Writes the text with the other number for the disk; false when it names yet another disk. */
static bool put_renumbered(FILE *stream, const char *text, unsigned from, unsigned to)
{
    for (const char *c = text; *c;) {
        bool word = c == text || !isalnum((unsigned char)c[-1]);
        char *end;

        if (!word || strncmp(c, "hd", 2) != 0 || !isdigit((unsigned char)c[2])) {
            fputc(*c++, stream);
            continue;
        }
        if (strtoul(c + 2, &end, 10) != from)
            return false;
        fprintf(stream, "hd%u", to);
        c = end;
    }
    return true;
}

static int renumber(const char *text, unsigned from, unsigned to, char **ret, struct error *error)
{
    size_t size;
    FILE *stream = open_memstream(ret, &size);
    bool good;

    if (!stream)
        return error_no_memory(error);
    good = put_renumbered(stream, text, from, to);
    if (fclose(stream) != 0)
        return error_no_memory(error);
    if (good)
        return 0;
    free(*ret);
    *ret = NULL;
    return error_set(error, ERROR_FAILED, "GRUB starts with \"%s\", on a disk of which the number is not known", text);
}

/* The path of GRUB's file on the running system, when it is on the place. NULL: it is not, or memory is short. */
static char *path_of(const struct boot_place *place, const char *name)
{
    const char *partition;
    unsigned disk;
    size_t length;
    char *path;

    if (!parse_place(name, &disk, &partition, &length) || disk != place->disk || strlen(place->partition) != length ||
        strncmp(partition, place->partition, length) != 0)
        return NULL;
    return asprintf(&path, "%s%s", place->folder, partition + length + 1) < 0 ? NULL : path;
}

/* "[ -e NAME ]" chose by whether NAME is there: the next command tells. It must be so still. */
static int check_choice(const struct boot_place *place, const char *command, const char *next, struct error *error)
{
    static const char start[] = "[ -e ", source[] = "source ";
    cleanup(free_ptr) char *name = NULL;
    cleanup(free_ptr) char *path = NULL;
    struct stat status;
    bool was, is;

    if (strncmp(command, start, strlen(start)) != 0 || strlen(command) < strlen(start) + 2)
        return 0;
    name = strndup(command + strlen(start), strlen(command) - strlen(start) - 2); /* without " ]" */
    path = name ? path_of(place, name) : NULL;
    if (!path)
        return error_set(error, ERROR_FAILED, "GRUB starts with \"%s\", which cannot be looked up", command);
    was = strncmp(next, source, strlen(source)) == 0 && strcmp(next + strlen(source), name) == 0;
    is = lstat(path, &status) == 0;
    return was == is ? 0
                     : error_set(error, ERROR_FAILED, "\"%s\" %s since the boot that is known", path,
                                 is ? "appeared" : "went");
}

/* What the command sets, as far as it matters for what follows. */
static int follow(struct grub_start *start, const char *command, struct error *error)
{
    static const char empty[] = "[ -z ", set[] = "set prefix=";
    cleanup(free_ptr) char *value = NULL;

    if (strncmp(command, empty, strlen(empty)) == 0 && !start->prefix)
        value = strndup(command + strlen(empty), strcspn(command + strlen(empty), " "));
    else if (strncmp(command, set, strlen(set)) == 0)
        value = strdup(command + strlen(set));
    else if (strncmp(command, "search", 6) == 0)
        return error_set(error, ERROR_FAILED, "GRUB starts with \"%s\", which is not followed here", command);
    else
        return 0;
    if (!value)
        return error_no_memory(error);
    free(start->prefix);
    start->prefix = take_ptr(value);
    return 0;
}

/* One command of GRUB's image. */
static int add_command(struct grub_start *start, const char *command, struct error *error)
{
    cleanup(free_ptr) char *text = NULL;
    int r = follow(start, command, error);

    if (r)
        return r;
    if (asprintf(&text, "grub_cmd: %s", command) < 0) {
        text = NULL;
        return error_no_memory(error);
    }
    return extend_list_add_data(&start->commands, 8, command, strlen(command), text, error);
}

/* The command of an event of PCR 8 between GRUB's program and its first file, renumbered; NULL for other events. */
static int command_of(const struct grub_log *log, size_t i, unsigned from, unsigned to, char **ret, struct error *error)
{
    const struct event *event = &log->log->events[i];
    cleanup(free_ptr) char *text = NULL;
    struct span command;

    *ret = NULL;
    if (event->pcr != 8 || !event_is_extended(event))
        return 0;
    if (!grub_command_text(event, &command) || event_check(log->log, event) != EVENT_CHECK_PROVEN)
        return error_set(error, ERROR_FAILED, "the event log hides a command with which GRUB starts");
    text = text_of(command);
    return text ? renumber(text, from, to, ret, error) : error_no_memory(error);
}

static int read_commands(const struct grub_log *log, const struct boot_place *place, unsigned disk,
                         struct grub_start *ret, struct error *error)
{
    cleanup(free_ptr) char *before = NULL;
    int r = 0;

    for (size_t i = log->program + 1; !r && i < log->body; i++) {
        cleanup(free_ptr) char *command = NULL;

        r = command_of(log, i, disk, place->disk, &command, error);
        if (r || !command)
            continue;
        r = before ? check_choice(place, before, command, error) : 0;
        r = r ?: add_command(ret, command, error);
        free(before);
        before = take_ptr(command);
    }
    return r;
}

/* The folder of GRUB's own program: "(hd0,gpt1)/EFI/debian". */
static int find_cmdpath(const struct grub_log *log, const char *device, size_t device_length, char **ret,
                        struct error *error)
{
    const char *program = log->components->items[log->program].name;
    const char *end = strrchr(program, '\\');

    if (asprintf(ret, "%.*s%.*s", (int)device_length, device, end ? (int)(end - program) : 0, program) < 0) {
        *ret = NULL;
        return error_no_memory(error);
    }
    for (char *c = *ret; *c; c++)
        if (*c == '\\')
            *c = '/';
    return 0;
}

/* "(hd0,gpt1)" of the config, and what follows from that. */
static int find_variables(const struct grub_log *log, struct grub_start *ret, struct error *error)
{
    const char *partition, *end;
    unsigned disk;
    size_t length, device;
    int r;

    if (!parse_place(ret->config, &disk, &partition, &length))
        return error_set(error, ERROR_FAILED, "GRUB's first file \"%s\" is on no disk", ret->config);
    device = (size_t)(partition - ret->config) + length + 1;
    r = find_cmdpath(log, ret->config, device, &ret->cmdpath, error);
    if (r)
        return r;
    end = strrchr(ret->config, '/');
    if (!ret->prefix)
        ret->prefix = strndup(ret->config, end ? (size_t)(end - ret->config) : strlen(ret->config));
    ret->root = strndup(ret->config + 1, device - 2);
    return ret->prefix && ret->root ? 0 : error_no_memory(error);
}

int grub_start_read(const struct grub_log *log, enum hash_algorithm bank, const struct boot_place *place,
                    struct grub_start *ret, struct error *error)
{
    cleanup(free_ptr) char *first = text_of(log->log->events[log->body].data);
    size_t length = first ? strlen(first) : 0;
    const char *partition;
    size_t partition_length;
    unsigned disk;
    int r;

    *ret = (struct grub_start){ 0 };
    if (!first)
        return error_no_memory(error);
    if (!parse_place(first, &disk, &partition, &partition_length) || length < 4 ||
        strcmp(first + length - 4, ".cfg") != 0)
        return error_set(error, ERROR_FAILED, "GRUB's first file \"%s\" is no configuration", first);
    r = extend_list_init(&ret->commands, bank, error);
    r = r ?: renumber(first, disk, place->disk, &ret->config, error);
    r = r ?: read_commands(log, place, disk, ret, error);
    r = r ?: find_variables(log, ret, error);
    if (r)
        grub_start_free(ret);
    return r;
}
