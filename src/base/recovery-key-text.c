#include "base/recovery-key-text.h"

#include "base/cleanup.h"

#include <string.h>

#define FACTOR 11u
#define GROUP_LIMIT (65536u * FACTOR)

/* How an input is made up. */
struct shape {
    size_t digits;
    size_t groups;                            /* of digits with something between them */
    size_t group_digits[RECOVERY_KEY_GROUPS]; /* of the first ones */
    bool foreign;                             /* something that is neither digit nor separator */
};

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_separator(uint8_t byte)
{
    return byte == '-' || byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static struct shape shape_of(const struct secret *input)
{
    struct shape shape = { 0 };
    bool inside = false;

    for (size_t i = 0; i < input->size; i++) {
        bool digit = is_digit(input->bytes[i]);

        shape.foreign |= !digit && !is_separator(input->bytes[i]);
        shape.digits += digit;
        shape.groups += digit && !inside;
        if (digit && shape.groups <= RECOVERY_KEY_GROUPS)
            shape.group_digits[shape.groups - 1]++;
        inside = digit;
    }
    return shape;
}

bool recovery_key_has_form(const struct secret *input)
{
    struct shape shape = shape_of(input);

    return !shape.foreign && (shape.digits == RECOVERY_KEY_DIGITS || shape.groups == RECOVERY_KEY_GROUPS);
}

bool recovery_key_group_is_good(const uint8_t *digits)
{
    uint32_t value = 0;

    for (size_t i = 0; i < RECOVERY_KEY_GROUP_DIGITS; i++) {
        if (!is_digit(digits[i]))
            return false;
        value = value * 10 + (uint32_t)(digits[i] - '0');
    }
    return value % FACTOR == 0 && value < GROUP_LIMIT;
}

static int check_shape(const struct shape *shape, struct error *error)
{
    if (shape->foreign)
        return error_set(error, ERROR_WRONG_PIN, "a recovery key has digits, blanks and dashes only");
    if (shape->digits == RECOVERY_KEY_DIGITS)
        return 0;
    for (size_t i = 0; shape->groups == RECOVERY_KEY_GROUPS && i < RECOVERY_KEY_GROUPS; i++)
        if (shape->group_digits[i] != RECOVERY_KEY_GROUP_DIGITS)
            return error_set(error, ERROR_WRONG_PIN, "group %zu has %zu %s, not %d", i + 1, shape->group_digits[i],
                             shape->group_digits[i] == 1 ? "digit" : "digits", RECOVERY_KEY_GROUP_DIGITS);
    return error_set(error, ERROR_WRONG_PIN, "a recovery key has %d digits, not %zu", RECOVERY_KEY_DIGITS,
                     shape->digits);
}

static void copy_with_dashes(const struct secret *input, struct secret *ret)
{
    size_t digits = 0;

    for (size_t i = 0; i < input->size; i++) {
        if (!is_digit(input->bytes[i]))
            continue;
        if (digits && digits % RECOVERY_KEY_GROUP_DIGITS == 0)
            ret->bytes[ret->size++] = '-';
        ret->bytes[ret->size++] = input->bytes[i];
        digits++;
    }
}

int recovery_key_parse(const struct secret *input, struct secret *ret, struct error *error)
{
    cleanup(secret_free) struct secret text = { 0 };
    const struct shape shape = shape_of(input);
    int r = check_shape(&shape, error);

    r = r ?: secret_new(&text, RECOVERY_KEY_TEXT_SIZE, error);
    if (r)
        return r;
    copy_with_dashes(input, &text);
    for (size_t i = 0; i < RECOVERY_KEY_GROUPS; i++)
        if (!recovery_key_group_is_good(text.bytes + i * (RECOVERY_KEY_GROUP_DIGITS + 1)))
            return error_set(error, ERROR_WRONG_PIN, "group %zu has a typo", i + 1);
    *ret = secret_take(&text);
    return 0;
}

/* By hand: printf would leave the digits in its own buffers. */
static void write_group(uint8_t *ret, uint32_t value)
{
    for (size_t i = RECOVERY_KEY_GROUP_DIGITS; i-- > 0; value /= 10)
        ret[i] = (uint8_t)('0' + value % 10);
}

int recovery_key_format(const uint8_t *key, struct secret *ret, struct error *error)
{
    cleanup(secret_free) struct secret text = { 0 };
    int r = secret_new(&text, RECOVERY_KEY_TEXT_SIZE, error);

    if (r)
        return r;
    memset(text.bytes, '-', RECOVERY_KEY_TEXT_SIZE);
    text.size = RECOVERY_KEY_TEXT_SIZE;
    for (size_t i = 0; i < RECOVERY_KEY_GROUPS; i++)
        write_group(text.bytes + i * (RECOVERY_KEY_GROUP_DIGITS + 1),
                    ((uint32_t)key[2 * i] | (uint32_t)key[2 * i + 1] << 8) * FACTOR);
    *ret = secret_take(&text);
    return 0;
}

int recovery_key_new(struct secret *ret, struct error *error)
{
    cleanup(secret_free) struct secret bytes = { 0 };
    int r = secret_random(&bytes, RECOVERY_KEY_BYTES, error);

    return r ?: recovery_key_format(bytes.bytes, ret, error);
}
