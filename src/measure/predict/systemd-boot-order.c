#include "measure/predict/systemd-boot-order.h"

#include "base/cleanup.h"
#include "base/cursor.h"
#include "measure/predict/wide.h"

#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_in_version(char c)
{
    return is_digit(c) || is_letter(c) || (c && strchr("~-^.", c));
}

static int sign(bool a, bool b)
{
    return (int)a - (int)b;
}

/* When one of the two has the separator and the other has not, that one is the older; both step over it. */
static int compare_separator(const char **a, const char **b, char separator)
{
    int r = sign(**a != separator, **b != separator);

    if (r == 0 && **a == separator) {
        (*a)++;
        (*b)++;
    }
    return r;
}

static size_t run_length(const char *text, bool (*belongs)(char))
{
    size_t length = 0;

    while (belongs(text[length]))
        length++;
    return length;
}

/* Runs of digits by their numbers, runs of letters by their characters; any number is newer than none. */
static int compare_runs(const char **a, const char **b)
{
    bool numbers = is_digit(**a) || is_digit(**b);
    size_t length_a = run_length(*a, numbers ? is_digit : is_letter);
    size_t length_b = run_length(*b, numbers ? is_digit : is_letter);
    const char *end_a = *a + length_a, *end_b = *b + length_b;
    int r = numbers ? sign(length_a > 0, length_b > 0) : 0;

    if (r == 0 && numbers) {
        for (; **a == '0'; length_a--)
            (*a)++;
        for (; **b == '0'; length_b--)
            (*b)++;
        r = sign(length_a > length_b, length_a < length_b);
    }
    r = r ?: strncmp(*a, *b, length_a < length_b ? length_a : length_b);
    r = r ?: sign(length_a > length_b, length_a < length_b);
    *a = end_a;
    *b = end_b;
    return r;
}

static int compare_segments(const char **a, const char **b)
{
    int r = compare_separator(a, b, '~');

    if (r || !**a || !**b)
        return r ?: sign(**a, **b);
    r = compare_separator(a, b, '-');
    r = r ?: compare_separator(a, b, '^');
    r = r ?: compare_separator(a, b, '.');
    return r ?: compare_runs(a, b);
}

int systemd_version_compare(const char *a, const char *b)
{
    a = a ?: "";
    b = b ?: "";
    for (;;) {
        int r;

        while (*a && !is_in_version(*a))
            a++;
        while (*b && !is_in_version(*b))
            b++;
        if (!*a && !*b)
            return 0;
        r = compare_segments(&a, &b);
        if (r)
            return r;
    }
}

/* A unit of wide text; 0 at its end and behind it. */
static uint16_t unit_at(const struct wide *wide, size_t i)
{
    return 2 * i + 1 < wide->size ? (uint16_t)(wide->bytes[2 * i] | wide->bytes[2 * i + 1] << 8) : 0;
}

/* The set whose '[' is at *place, which is moved to its ']'; false when the unit is not in it, or it has no end. */
static bool match_set(const struct wide *pattern, size_t *place, uint16_t unit)
{
    bool found = false, may_range = true;

    for (bool first = true;; first = false) {
        uint16_t c = unit_at(pattern, ++*place);

        if (c == ']' && !first)
            return found;
        if (c == '-' && may_range && !first && unit_at(pattern, *place + 1) != ']') {
            uint16_t low = unit_at(pattern, *place - 1), high = unit_at(pattern, ++*place);

            if (high == '\\')
                high = unit_at(pattern, ++*place);
            if (high == 0)
                return false;
            found = found || (low <= unit && unit <= high);
            may_range = false;
            continue;
        }
        if (c == '\\')
            c = unit_at(pattern, ++*place);
        if (c == 0)
            return false;
        found = found || c == unit;
        may_range = true;
    }
}

/* One unit of the pattern (no '*'), which is not at its end, against one of the name; moves *place behind it. */
static bool match_one(const struct wide *pattern, size_t *place, uint16_t unit)
{
    uint16_t c = unit_at(pattern, *place);
    bool found;

    if (unit == 0)
        return false;
    if (c == '[')
        found = match_set(pattern, place, unit);
    else if (c == '?')
        found = true;
    else if (c == '\\')
        found = unit_at(pattern, ++*place) == unit;
    else
        found = c == unit;
    (*place)++;
    return found;
}

/* A '*' takes as little as it can, and one more each time that the rest does not fit: only the last one has to. */
static bool match(const struct wide *pattern, const struct wide *name)
{
    size_t p = 0, n = 0, star = SIZE_MAX, star_name = 0;

    while (unit_at(pattern, p) || unit_at(name, n)) {
        if (unit_at(pattern, p) == '*') {
            star = ++p;
            star_name = n;
        } else if (unit_at(pattern, p) && match_one(pattern, &p, unit_at(name, n))) {
            n++;
        } else if (star != SIZE_MAX && unit_at(name, star_name)) {
            p = star;
            n = ++star_name;
        } else {
            return false;
        }
    }
    return true;
}

int systemd_boot_match(const char *pattern, const char *name, bool *ret, struct error *error)
{
    cleanup(wide_free) struct wide wide_pattern = { 0 };
    cleanup(wide_free) struct wide wide_name = { 0 };
    int r = wide_from_utf8(pattern, strlen(pattern), &wide_pattern, error);

    r = r ?: wide_from_utf8(name, strlen(name), &wide_name, error);
    *ret = !r && match(&wide_pattern, &wide_name);
    return r;
}

/* As strcmp(); nothing comes before any text. */
static int compare_texts(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) : sign(a, b);
}

static int compare_by_key(const struct systemd_boot_entry *a, const struct systemd_boot_entry *b)
{
    int r = strcmp(a->sort_key, b->sort_key);

    r = r ?: compare_texts(a->machine_id, b->machine_id);
    return r ?: -systemd_version_compare(a->version, b->version);
}

/* Entries without tries left come last, those with a sort key before those without, then the newest first. */
static int compare_entries(const struct systemd_boot_entry *a, const struct systemd_boot_entry *b)
{
    int r = sign(a->tries_left == 0, b->tries_left == 0);

    r = r ?: sign(!a->sort_key, !b->sort_key);
    if (r == 0 && a->sort_key && b->sort_key)
        r = compare_by_key(a, b);
    r = r ?: -systemd_version_compare(a->id, b->id);
    if (r || a->tries_left < 0 || b->tries_left < 0)
        return r;
    r = sign(b->tries_left > a->tries_left, a->tries_left > b->tries_left);
    return r ?: sign(a->tries_done > b->tries_done, a->tries_done < b->tries_done);
}

/* Entries that compare equal stay as they were. */
void systemd_boot_sort(struct systemd_boot_entry *entries, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct systemd_boot_entry entry = entries[i];
        size_t k = i;

        for (; k > 0 && compare_entries(&entries[k - 1], &entry) > 0; k--)
            entries[k] = entries[k - 1];
        entries[k] = entry;
    }
}
