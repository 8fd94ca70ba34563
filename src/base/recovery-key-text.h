/*
 * A recovery key as people read and type it: 128 random bits as eight little-endian 16-bit numbers, each times 11,
 * written as six digits:
 *
 *   471207-278498-422125-177177-561902-537405-468006-693451
 *
 * This canonical text is the keyslot's passphrase, dashes and all. What a person types may have blanks or dashes
 * anywhere between the digits, or nothing. A group is good when it divides by 11 and is below 720896: one wrong digit,
 * or two neighbours swapped, never gives another good group.
 */
#pragma once

#include "base/secret.h"

#define RECOVERY_KEY_BYTES 16
#define RECOVERY_KEY_GROUPS 8
#define RECOVERY_KEY_GROUP_DIGITS 6
#define RECOVERY_KEY_DIGITS 48
#define RECOVERY_KEY_TEXT_SIZE 55 /* without a NUL */

/* A fresh key, as canonical text. */
int recovery_key_new(struct secret *ret, struct error *error);

/* The canonical text of RECOVERY_KEY_BYTES. */
int recovery_key_format(const uint8_t *key, struct secret *ret, struct error *error);

/* Whether these RECOVERY_KEY_GROUP_DIGITS characters are a good group. */
bool recovery_key_group_is_good(const uint8_t *digits);

/*
 * Whether a person who typed this meant a recovery key: nothing but digits, blanks, line ends and dashes, with 48
 * digits in all or in eight groups. Such input is never a PIN.
 */
bool recovery_key_has_form(const struct secret *input);

/* The canonical text of what was typed. ERROR_WRONG_PIN names the group that is wrong, or what else is. */
int recovery_key_parse(const struct secret *input, struct secret *ret, struct error *error);
