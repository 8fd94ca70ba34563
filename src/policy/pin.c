#include "policy/document.h"

#include "base/recovery-key-text.h"

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

/* Cannot be typed at a prompt: a carriage return from a file with DOS line ends would lock its owner out. */
static bool is_control(uint8_t byte)
{
    return byte < 0x20 || byte == 0x7f;
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
    return 0;
}
