#include "policy/document.h"

#include "base/recovery-key-text.h"

#include <string.h>

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* Cannot be typed at a prompt: a carriage return from a file with DOS line ends would lock its owner out. */
static bool is_control(uint8_t byte)
{
    return byte < 0x20 || byte == 0x7f;
}

#define PIECE_MAX 4 /* bytes */

/* 111111, 121212, 481481: a short piece of it, again and again. */
static bool is_repeat(const struct secret *pin)
{
    for (size_t piece = 1; piece <= PIECE_MAX && piece <= pin->size / 2; piece++)
        if (pin->size % piece == 0 && memcmp(pin->bytes, pin->bytes + piece, pin->size - piece) == 0)
            return true;
    return false;
}

/* How far it is from one byte to the next: among digits 0 follows 9. */
static int step(const uint8_t *byte, bool digits)
{
    int difference = byte[1] - byte[0];

    return digits ? (difference + 10) % 10 : difference;
}

/* 123456, 890123, 654321, 135791; abcdef. */
static bool is_sequence(const struct secret *pin, bool digits)
{
    int first = step(pin->bytes, digits);

    if (!digits && first != 1 && first != -1)
        return false;
    for (size_t i = 1; i + 1 < pin->size; i++)
        if (step(pin->bytes + i, digits) != first)
            return false;
    return true;
}

static bool is_year(const uint8_t digits[4])
{
    return memcmp(digits, "19", 2) == 0 || memcmp(digits, "20", 2) == 0;
}

/* Nothing, or numbers from 1 to 31, of two digits but for the first. */
static bool are_days(const uint8_t *digits, size_t size)
{
    for (size_t i = size; i > 0; i -= i > 1 ? 2 : 1) {
        int number = (digits[i - 1] - '0') + (i > 1 ? 10 * (digits[i - 2] - '0') : 0);

        if (number < 1 || number > 31)
            return false;
    }
    return true;
}

/* 1987, 19871224; 121987, 24121987: a year, or what ends with one as dates do. */
static bool is_date(const struct secret *pin)
{
    if (pin->size < 4 || pin->size > 8)
        return false;
    return is_year(pin->bytes) || (is_year(pin->bytes + pin->size - 4) && are_days(pin->bytes, pin->size - 4));
}

static int check_not_simple(const struct secret *pin, struct error *error)
{
    const char *what = NULL;
    bool digits = true;

    for (size_t i = 0; i < pin->size; i++)
        digits = digits && is_digit(pin->bytes[i]);
    if (pin->size < 2 || is_repeat(pin))
        what = "it repeats itself";
    else if (is_sequence(pin, digits))
        what = "it is a sequence";
    else if (digits && is_date(pin))
        what = "it is a date, or begins with a year";
    if (!what)
        return 0;
    error_set(error, ERROR_USAGE, "the PIN is among the first that are guessed: %s", what);
    return error_remedy(error, "choose another one; \"allow_simple\" in the policy would allow it, see "
                               "bootseal-policy(5)");
}

int policy_pin_check(const struct pin_rules *rules, const struct secret *pin, struct error *error)
{
    if (pin->size < rules->min_length)
        return error_set(error, ERROR_USAGE, "the PIN is too short: the policy wants %u characters at least",
                         rules->min_length);
    if (pin->size > rules->max_length || pin->size > PIN_MAX_BYTES)
        return error_set(error, ERROR_USAGE, "the PIN is too long: the policy allows %u bytes at most",
                         rules->max_length < PIN_MAX_BYTES ? rules->max_length : PIN_MAX_BYTES);
    for (size_t i = 0; i < pin->size; i++) {
        if (is_control(pin->bytes[i]))
            return error_set(error, ERROR_USAGE, "the PIN has a control character, which no prompt accepts");
        if (rules->digits_only && !is_digit(pin->bytes[i]))
            return error_set(error, ERROR_USAGE, "the PIN may have digits only, as the policy says");
    }
    if (recovery_key_has_form(pin))
        return error_set(error, ERROR_USAGE, "the PIN looks like a recovery key, and prompts would take it for one");
    return rules->allow_simple ? 0 : check_not_simple(pin, error);
}
