#include "ask/terminal.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#define WRITE_PATIENCE_MS 1000

struct terminal {
    int fd;
    struct termios before; /* as it was found */
    enum terminal_echo echo;
    bool by_bytes; /* an editor of ours gets each byte */
    sigset_t mask_before;
    sigset_t held;
    int signals; /* a signalfd on `held`; -1 before anything was changed */
};

static int open_terminal(const char *path)
{
    /* not as controlling terminal; and no call on it may wait where a signal would not be seen */
    return open(path, O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
}

static void set_modes(int fd, const struct termios *modes)
{
    /* now, not after draining: output may be stopped. A process in the background is stopped here (SIGTTOU). */
    while (tcsetattr(fd, TCSANOW, modes) < 0 && errno == EINTR)
        continue;
}

/* False, with errno, when it cannot be written. Output that is stopped (Ctrl+S) is given up after a while, and will go
 * on some time. */
static bool write_text(int fd, const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        struct pollfd ready = { .fd = fd, .events = POLLOUT };
        ssize_t n = write(fd, text, left);

        if (n > 0) {
            text += n;
            left -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            if (poll(&ready, 1, WRITE_PATIENCE_MS) == 0)
                return true;
        } else if (n == 0 || errno != EINTR) {
            return false;
        }
    }
    return true;
}

/* A question that nobody can see is not asked. */
static int show_prompt(struct terminal *terminal, const char *prompt, struct error *error)
{
    if (write_text(terminal->fd, prompt))
        return 0;
    return error_set(error, ERROR_USAGE, "cannot write to the terminal: %s", strerror(errno));
}

static int prepare_modes(struct terminal *terminal, struct error *error)
{
    const tcflag_t echoes = ECHO | ECHOE | ECHOK | ECHONL;
    struct termios modes = terminal->before;

    modes.c_iflag = (modes.c_iflag & ~(tcflag_t)(IGNCR | INLCR)) | ICRNL;
    modes.c_lflag |= ICANON | ISIG;
    if (terminal->by_bytes) {
        modes.c_lflag &= ~(tcflag_t)ICANON;
        modes.c_cc[VMIN] = 1;
        modes.c_cc[VTIME] = 0;
    }
    if (terminal->echo == TERMINAL_ECHO)
        modes.c_lflag |= ECHO | ECHOE | ECHOK;
    else
        modes.c_lflag &= ~echoes;
    (void)tcflush(terminal->fd, TCIFLUSH);
    set_modes(terminal->fd, &modes);
    /* tcsetattr() succeeds when it did any part of what it was asked for */
    if (tcgetattr(terminal->fd, &modes) < 0 || (terminal->echo == TERMINAL_NO_ECHO && (modes.c_lflag & echoes)))
        return error_set(error, ERROR_USAGE, "the terminal's echo cannot be switched off");
    return 0;
}

static int hold_signals(struct terminal *terminal, struct error *error)
{
    static const int numbers[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT };

    sigemptyset(&terminal->held);
    pthread_sigmask(SIG_BLOCK, NULL, &terminal->mask_before);
    /* what the caller holds back himself is his business */
    for (size_t i = 0; i < array_size(numbers); i++)
        if (!sigismember(&terminal->mask_before, numbers[i]))
            sigaddset(&terminal->held, numbers[i]);
    terminal->signals = signalfd(-1, &terminal->held, SFD_CLOEXEC | SFD_NONBLOCK);
    if (terminal->signals < 0)
        return error_errno(error, errno, "cannot watch for signals");
    pthread_sigmask(SIG_BLOCK, &terminal->held, NULL);
    return 0;
}

/* Undoes everything; what was held back takes effect here. */
static void terminal_close(struct terminal *terminal)
{
    if (terminal->signals >= 0) {
        set_modes(terminal->fd, &terminal->before);
        close(terminal->signals);
        pthread_sigmask(SIG_SETMASK, &terminal->mask_before, NULL);
    }
    close_fd(&terminal->fd);
}

static int terminal_open(struct terminal *terminal, const char *path, struct error *error)
{
    int r;

    terminal->fd = open_terminal(path);
    if (terminal->fd < 0) {
        r = error_errno(error, errno, "there is no terminal to ask on: cannot open \"%s\"", path);
        return error_rekind(error, ERROR_USAGE);
    }
    if (tcgetattr(terminal->fd, &terminal->before) < 0)
        return error_set(error, ERROR_USAGE, "there is no terminal to ask on: \"%s\" is none", path);
    r = hold_signals(terminal, error);
    return r ? r : prepare_modes(terminal, error);
}

/* True when the process goes on as if nothing had been after it. */
static bool signal_is_survived(int number)
{
    struct sigaction action;

    if (number == SIGTSTP || number == SIGCONT)
        return true;
    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

/* Gives a signal its effect while the terminal is as it was found. Coming back from it, the line begins anew. */
static int pass_on_signal(struct terminal *terminal, int number, struct error *error)
{
    set_modes(terminal->fd, &terminal->before);
    pthread_sigmask(SIG_SETMASK, &terminal->mask_before, NULL);
    (void)raise(number);
    pthread_sigmask(SIG_BLOCK, &terminal->held, NULL);
    if (!signal_is_survived(number))
        return error_set(error, ERROR_FAILED, "interrupted while asking");
    return prepare_modes(terminal, error);
}

/* Waits until there is input, with *ret_signal 0, or a signal, which is then its number. *ret_ready is false when the
 * time, -1 for no end, has passed first. */
static int wait_for_input_until(struct terminal *terminal, int timeout_ms, bool *ret_ready, int *ret_signal,
                                struct error *error)
{
    struct pollfd ready[] = { { .fd = terminal->fd, .events = POLLIN }, { .fd = terminal->signals, .events = POLLIN } };
    struct signalfd_siginfo info;

    int count;

    *ret_signal = 0;
    while ((count = poll(ready, array_size(ready), timeout_ms)) < 0)
        if (errno != EINTR)
            return error_errno(error, errno, "cannot wait for the terminal");
    *ret_ready = count > 0;
    if (ready[1].revents && read(terminal->signals, &info, sizeof(info)) == sizeof(info))
        *ret_signal = (int)info.ssi_signo;
    return 0;
}

static int wait_for_input(struct terminal *terminal, int *ret_signal, struct error *error)
{
    bool ready;

    return wait_for_input_until(terminal, -1, &ready, ret_signal, error);
}

struct line {
    struct secret bytes; /* one byte more than may be used: the newline's */
    bool too_long;
    bool complete;
};

static int read_byte(struct terminal *terminal, struct line *line, struct error *error)
{
    uint8_t *slot = line->bytes.bytes + line->bytes.size;
    ssize_t n = read(terminal->fd, slot, 1);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0 && errno != EIO)
        return error_errno(error, errno, "cannot read from the terminal");
    if (n <= 0)
        return error_set(error, ERROR_USAGE, "the input ended before a line was typed");
    if (*slot == '\n') {
        *slot = 0;
        line->complete = true;
    } else if (line->bytes.size < ASK_MAX_BYTES) {
        line->bytes.size++;
    } else {
        *slot = 0;
        line->too_long = true;
    }
    return 0;
}

static int read_line(struct terminal *terminal, const char *prompt, struct line *line, struct error *error)
{
    int r = show_prompt(terminal, prompt, error), signal_number;

    while (!r && !line->complete) {
        r = wait_for_input(terminal, &signal_number, error);
        if (!r && !signal_number) {
            r = read_byte(terminal, line, error);
        } else if (!r) {
            line->bytes.size = 0;
            line->too_long = false;
            r = pass_on_signal(terminal, signal_number, error) ?: show_prompt(terminal, prompt, error);
        }
    }
    if (terminal->echo == TERMINAL_NO_ECHO)
        (void)write_text(terminal->fd, "\n");
    if (!r && line->too_long)
        r = error_set(error, ERROR_WRONG_PIN, "more than %d bytes were typed", ASK_MAX_BYTES);
    return r;
}

static void free_line(struct line *line)
{
    secret_free(&line->bytes);
}

int terminal_ask(const char *path, const char *prompt, enum terminal_echo echo, struct secret *ret, struct error *error)
{
    cleanup(terminal_close) struct terminal terminal = { .fd = -1, .signals = -1, .echo = echo };
    cleanup(free_line) struct line line = { 0 };
    int r = secret_new(&line.bytes, ASK_MAX_BYTES + 1, error);

    if (!r)
        r = terminal_open(&terminal, path, error);
    if (!r)
        r = read_line(&terminal, prompt, &line, error);
    if (!r)
        *ret = secret_take(&line.bytes);
    return r;
}

/* One byte, or none yet. */
static int feed_byte(struct terminal *terminal, const struct terminal_editor *editor, enum terminal_edit *ret,
                     struct error *error)
{
    char show[TERMINAL_SHOW_TEXT] = "";
    uint8_t byte;
    ssize_t n = read(terminal->fd, &byte, 1);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0 && errno != EIO)
        return error_errno(error, errno, "cannot read from the terminal");
    *ret = n > 0 ? editor->feed(editor->context, byte, show) : TERMINAL_EDIT_END;
    explicit_bzero(&byte, sizeof(byte));
    if (*ret == TERMINAL_EDIT_END)
        return error_set(error, ERROR_USAGE, "the input ended before a line was typed");
    if (*ret == TERMINAL_EDIT_ANEW)
        (void)tcflush(terminal->fd, TCIFLUSH);
    (void)write_text(terminal->fd, show);
    return 0;
}

static int edit_line(struct terminal *terminal, const char *prompt, const struct terminal_editor *editor,
                     struct error *error)
{
    enum terminal_edit edit = TERMINAL_EDIT_MORE;
    int r = show_prompt(terminal, prompt, error), signal_number;

    editor->start(editor->context);
    while (!r && edit != TERMINAL_EDIT_DONE) {
        r = wait_for_input(terminal, &signal_number, error);
        if (!r && !signal_number) {
            r = feed_byte(terminal, editor, &edit, error);
        } else if (!r) {
            editor->start(editor->context);
            r = pass_on_signal(terminal, signal_number, error) ?: show_prompt(terminal, prompt, error);
        }
    }
    (void)write_text(terminal->fd, "\n");
    return r;
}

int terminal_edit(const char *path, const char *prompt, const struct terminal_editor *editor, struct error *error)
{
    cleanup(terminal_close) struct terminal terminal = {
        .fd = -1, .signals = -1, .echo = TERMINAL_NO_ECHO, .by_bytes = true
    };
    int r = terminal_open(&terminal, path, error);

    return r ? r : edit_line(&terminal, prompt, editor, error);
}

void terminal_show(const char *path, const char *text)
{
    cleanup(close_fd) int fd = open_terminal(path);

    if (fd >= 0 && isatty(fd))
        (void)write_text(fd, text);
}

bool terminal_save(const char *path, struct termios *ret)
{
    cleanup(close_fd) int fd = open_terminal(path);

    return fd >= 0 && tcgetattr(fd, ret) == 0;
}

void terminal_restore(const char *path, const struct termios *modes)
{
    cleanup(close_fd) int fd = open_terminal(path);

    if (fd >= 0)
        set_modes(fd, modes);
}

/* What was shown before is longer by a few characters at the most. */
static void show_time_left(struct terminal *terminal, const char *text, uint64_t left_s)
{
    char line[ASK_MAX_BYTES];

    if (left_s >= 3600)
        snprintf(line, sizeof(line), "\r%s %llu:%02llu:%02llu   ", text, (unsigned long long)left_s / 3600,
                 (unsigned long long)left_s / 60 % 60, (unsigned long long)left_s % 60);
    else
        snprintf(line, sizeof(line), "\r%s %llu:%02llu   ", text, (unsigned long long)left_s / 60,
                 (unsigned long long)left_s % 60);
    (void)write_text(terminal->fd, line);
}

/* One second, or less when something comes. */
static int wait_a_second(struct terminal *terminal, struct line *line, struct error *error)
{
    int r, signal_number;
    bool ready;

    r = wait_for_input_until(terminal, 1000, &ready, &signal_number, error);
    if (r || !ready)
        return r;
    return signal_number ? pass_on_signal(terminal, signal_number, error) : read_byte(terminal, line, error);
}

int terminal_wait(const char *path, const struct ask_wait *wait, bool *ret_over, struct error *error)
{
    cleanup(terminal_close) struct terminal terminal = { .fd = -1, .signals = -1, .echo = TERMINAL_NO_ECHO };
    cleanup(free_line) struct line line = { 0 };
    uint64_t end_ms = clock_now_ms() + wait->seconds * 1000ull, now_ms;
    int r = secret_new(&line.bytes, ASK_MAX_BYTES + 1, error);

    *ret_over = false;
    if (!r)
        r = terminal_open(&terminal, path, error);
    while (!r && !line.complete) {
        now_ms = clock_now_ms();
        *ret_over = now_ms >= end_ms || (wait->is_over && wait->is_over(wait->context));
        if (*ret_over)
            break;
        show_time_left(&terminal, wait->text, (end_ms - now_ms + 999) / 1000);
        r = wait_a_second(&terminal, &line, error);
    }
    if (terminal.signals >= 0)
        (void)write_text(terminal.fd, "\n");
    return r;
}
