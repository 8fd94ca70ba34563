#include "ask/ask.h"

#include "ask/askpass.h"
#include "ask/consoles.h"
#include "ask/plymouth.h"
#include "ask/recovery-entry.h"
#include "ask/terminal.h"
#include "base/cleanup.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#define CONSOLE "/dev/console"
#define ASKPASS_PROGRAM "/lib/cryptsetup/askpass"
#define PROMPT_TEXT 256
#define MESSAGE_TEXT 2048
#define YES_NO_TRIES 3

struct ask_way ask_way_initramfs(void)
{
    return (struct ask_way){
        .askpass = access(ASKPASS_PROGRAM, X_OK) == 0 ? ASKPASS_PROGRAM : NULL,
        .console = CONSOLE,
    };
}

struct ask_way ask_way_terminal(void)
{
    cleanup(close_fd) int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

    return (struct ask_way){ .console = fd < 0 && isatty(STDIN_FILENO) ? "/dev/stdin" : "/dev/tty" };
}

/* Names of volumes and messages from elsewhere reach the terminal here: no control characters. */
static void sanitize(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p == 0x7f)
            *p = '?';
}

/* "PROMPT: ", where `more` comes before the colon. */
static void format_prompt(char ret[PROMPT_TEXT], const char *prompt, const char *more)
{
    snprintf(ret, PROMPT_TEXT, "%.200s%s: ", prompt, more);
    sanitize(ret);
}

static int ask_once(const struct ask_way *way, const char *prompt, const char *more, struct secret *ret,
                    struct error *error)
{
    char text[PROMPT_TEXT];

    format_prompt(text, prompt, more);
    if (way->askpass)
        return askpass_ask(way->askpass, way->console, text, ret, error);
    return terminal_ask(way->console, text, TERMINAL_NO_ECHO, ret, error);
}

int ask_secret(const struct ask_way *way, const char *prompt, struct secret *ret, struct error *error)
{
    return ask_once(way, prompt, "", ret, error);
}

int ask_new_secret(const struct ask_way *way, const char *prompt, struct secret *ret, struct error *error)
{
    cleanup(secret_free) struct secret first = { 0 }, second = { 0 };
    int r = ask_once(way, prompt, "", &first, error);

    if (!r)
        r = ask_once(way, prompt, " (again)", &second, error);
    if (!r && !secret_equal(&first, &second))
        r = error_set(error, ERROR_USAGE, "the two inputs differ");
    if (!r)
        *ret = secret_take(&first);
    return r;
}

int ask_recovery_key(const struct ask_way *way, const char *prompt, struct secret *ret, struct error *error)
{
    char text[PROMPT_TEXT];

    format_prompt(text, prompt, "");
    if (way->askpass)
        return askpass_ask(way->askpass, way->console, text, ret, error);
    return recovery_entry_ask(way->console, text, ret, error);
}

bool ask_is_possible(const struct ask_way *way)
{
    struct termios modes;

    return way->askpass || terminal_save(way->console, &modes);
}

/* True when the answer is the word or its first letter, in either case. */
static bool answer_is(const struct secret *answer, const char *word)
{
    return (answer->size == 1 || answer->size == strlen(word)) &&
           strncasecmp((const char *)answer->bytes, word, answer->size) == 0;
}

int ask_visible(const struct ask_way *way, const char *prompt, struct secret *ret, struct error *error)
{
    return way->askpass ? ask_once(way, prompt, "", ret, error) : ask_text(way, prompt, ret, error);
}

int ask_text(const struct ask_way *way, const char *prompt, struct secret *ret, struct error *error)
{
    char text[PROMPT_TEXT];

    format_prompt(text, prompt, "");
    return terminal_ask(way->console, text, TERMINAL_ECHO, ret, error);
}

int ask_yes_no(const struct ask_way *way, const char *question, bool *ret, struct error *error)
{
    char text[PROMPT_TEXT];

    *ret = false;
    format_prompt(text, question, " [y/N]");
    for (int i = 0; i < YES_NO_TRIES; i++) {
        cleanup(secret_free) struct secret answer = { 0 };
        int r = terminal_ask(way->console, text, TERMINAL_ECHO, &answer, error);

        if (r)
            return r;
        *ret = answer_is(&answer, "yes");
        if (*ret || answer.size == 0 || answer_is(&answer, "no"))
            return 0;
    }
    return error_set(error, ERROR_USAGE, "the answer was neither yes nor no");
}

int ask_wait(const struct ask_way *way, const struct ask_wait *wait, bool *ret_over, struct error *error)
{
    char text[PROMPT_TEXT];
    struct ask_wait shown = *wait;

    snprintf(text, sizeof(text), "%.200s", wait->text);
    sanitize(text);
    shown.text = text;
    return terminal_wait(way->console, &shown, ret_over, error);
}

void ask_show(const struct ask_way *way, const char *format, ...)
{
    const char *plymouth = plymouth_find();
    char text[MESSAGE_TEXT];
    size_t length;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text) - 1, format, args); /* a byte is kept for the newline */
    va_end(args);
    sanitize(text);
    if (plymouth)
        plymouth_show(plymouth, text);
    length = strlen(text);
    text[length] = '\n';
    text[length + 1] = '\0';
    terminal_show(way->console, text);
    if (strcmp(way->console, CONSOLE) == 0)
        consoles_show_others(CONSOLES_ACTIVE, "/dev", text);
}
