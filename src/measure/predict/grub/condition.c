#include "measure/predict/grub/run.h"

#include "base/cleanup.h"

#include <string.h>

#define CONDITION_MAX_DEPTH 32 /* parentheses; GRUB has 100 */

/* The command "[": its words, and how far it is. */
struct condition {
    struct run *run;
    char **words;
    size_t count;
    size_t at;
    unsigned depth;
};

/* GRUB's expressions have no precedence: what stands side by side is "and", -o begins anew. */
struct outcome {
    bool any, all, invert;
};

static void update(struct outcome *outcome, bool value)
{
    outcome->all = outcome->all && (outcome->invert ? !value : value);
    outcome->invert = false;
}

/* A number as GRUB reads it: base 0, a sign in front, 0 for what is none. */
static int read_number(struct run *run, const char *text, long long *ret, struct error *error)
{
    const char *digits = text + (text[0] == '-');
    size_t length;

    digits += strspn(digits, " \t\n\r");
    length = strspn(digits, "0123456789");
    if (length > 15 || (digits[0] == '0' && length > 1) || (digits[0] == '0' && digits[1] == 'x'))
        return run_refuse(run, error, "the number \"%.60s\"", text);
    *ret = 0;
    for (size_t i = 0; i < length; i++)
        *ret = 10 * *ret + (digits[i] - '0');
    if (text[0] == '-')
        *ret = -*ret;
    return 0;
}

static bool compare_order(int order, const char *sign)
{
    if (strcmp(sign, "<") == 0)
        return order < 0;
    if (strcmp(sign, "<=") == 0)
        return order <= 0;
    if (strcmp(sign, ">") == 0)
        return order > 0;
    if (strcmp(sign, ">=") == 0)
        return order >= 0;
    return (order == 0) == (strcmp(sign, "!=") != 0);
}

static bool compare_numbers(long long a, long long b, const char *sign)
{
    if (strcmp(sign, "-eq") == 0)
        return a == b;
    if (strcmp(sign, "-ne") == 0)
        return a != b;
    if (strcmp(sign, "-lt") == 0)
        return a < b;
    if (strcmp(sign, "-le") == 0)
        return a <= b;
    return strcmp(sign, "-gt") == 0 ? a > b : a >= b;
}

static bool is_one_of(const char *word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

/* "a = b" and its like; *done is false when there is none here. */
static int try_comparison(struct condition *condition, struct outcome *outcome, bool *done, struct error *error)
{
    static const char *const texts[] = { "=", "==", "!=", "<", "<=", ">", ">=" };
    static const char *const numbers[] = { "-eq", "-ne", "-lt", "-le", "-gt", "-ge" };
    char **words = condition->words + condition->at;
    long long a, b;
    int r = 0;

    *done = false;
    if (condition->at + 2 >= condition->count)
        return 0;
    if (is_one_of(words[1], texts, array_size(texts))) {
        update(outcome, compare_order(strcmp(words[0], words[2]), words[1]));
    } else if (is_one_of(words[1], numbers, array_size(numbers))) {
        r = read_number(condition->run, words[0], &a, error) ?: read_number(condition->run, words[2], &b, error);
        if (r)
            return r;
        update(outcome, compare_numbers(a, b, words[1]));
    } else if (strcmp(words[1], "-pgt") == 0 || strcmp(words[1], "-plt") == 0 || strncmp(words[1], "-nt", 3) == 0 ||
               strncmp(words[1], "-ot", 3) == 0) {
        return run_refuse(condition->run, error, "the comparison \"%.60s\"", words[1]);
    } else {
        return 0;
    }
    condition->at += 3;
    *done = true;
    return 0;
}

/* -e, -f and -d look into the folder; -s opens the file, which measures it. */
static int test_file(struct run *run, const char *sign, const char *name, bool *ret, struct error *error)
{
    struct grub_file *file;
    int r;

    if (strcmp(sign, "-s") == 0) {
        r = run_open_file(run, name, &file, error);
        *ret = !r && file && file->size > 0;
        return r;
    }
    r = run_find_file(run, name, &file, error);
    if (r)
        return r;
    *ret = file->kind != GRUB_FILE_NONE;
    if (strcmp(sign, "-f") == 0)
        *ret = file->kind == GRUB_FILE_REGULAR;
    else if (strcmp(sign, "-d") == 0)
        *ret = file->kind == GRUB_FILE_FOLDER;
    return 0;
}

/* "-f FILE" and its like. */
static int try_question(struct condition *condition, struct outcome *outcome, bool *done, struct error *error)
{
    static const char *const files[] = { "-d", "-e", "-f", "-s" };
    char **words = condition->words + condition->at;
    bool value;
    int r = 0;

    *done = false;
    if (condition->at + 1 >= condition->count)
        return 0;
    if (is_one_of(words[0], files, array_size(files)))
        r = test_file(condition->run, words[0], words[1], &value, error);
    else if (strcmp(words[0], "-n") == 0)
        value = words[1][0] != '\0';
    else if (strcmp(words[0], "-z") == 0)
        value = words[1][0] == '\0';
    else
        return 0;
    if (r)
        return r;
    update(outcome, value);
    condition->at += 2;
    *done = true;
    return 0;
}

static int evaluate(struct condition *condition, bool *ret, struct error *error);

static int evaluate_word(struct condition *condition, struct outcome *outcome, struct error *error)
{
    const char *word = condition->words[condition->at++];
    bool value;
    int r;

    if (strcmp(word, "(") == 0) {
        if (++condition->depth > CONDITION_MAX_DEPTH)
            return run_refuse(condition->run, error, "too many parentheses");
        r = evaluate(condition, &value, error);
        if (!r)
            update(outcome, value);
        return r;
    }
    if (strcmp(word, "!") == 0) {
        outcome->invert = !outcome->invert;
    } else if (strcmp(word, "-o") == 0) {
        outcome->any = outcome->any || outcome->all;
        outcome->all = true;
    } else if (strcmp(word, "-a") != 0) {
        update(outcome, word[0] != '\0');
    }
    return 0;
}

/* Up to the end, or the parenthesis that ends this. */
static int evaluate(struct condition *condition, bool *ret, struct error *error)
{
    struct outcome outcome = { .all = true };
    int r = 0;

    while (!r && condition->at < condition->count) {
        bool done;

        r = try_comparison(condition, &outcome, &done, error);
        if (!r && !done)
            r = try_question(condition, &outcome, &done, error);
        if (r || done)
            continue;
        if (strcmp(condition->words[condition->at], ")") == 0) {
            condition->at++;
            condition->depth -= condition->depth > 0;
            break;
        }
        r = evaluate_word(condition, &outcome, error);
    }
    *ret = outcome.any || outcome.all;
    return r;
}

int command_test(struct run *run, const struct arguments *arguments, struct error *error)
{
    struct condition condition = { .run = run, .words = arguments->items + 1, .count = arguments->count - 1 };
    bool value = false;
    int r;

    if (condition.count > 0 && strcmp(condition.words[condition.count - 1], "]") == 0)
        condition.count--;
    r = evaluate(&condition, &value, error);
    run->status = value ? STATUS_GOOD : STATUS_FAILED;
    return r;
}
