#include "protect/unlock/operators.h"

#include "policy/label.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define LABEL_SHOWN 20 /* bytes */
#define MORE ", ..."
#define PRESET_TEXT sizeof(", Enter for 99)")

static_assert(PROTECTOR_LABEL_MAX == BRANCH_LABEL_MAX, "branch_label_clean() takes both kinds of label");

static size_t place_of(const struct operator_list *list, unsigned number)
{
    size_t i = 0;

    while (i < list->count && list->items[i].number < number)
        i++;
    return i;
}

bool operators_have(const struct operator_list *list, unsigned number)
{
    size_t i = place_of(list, number);

    return i < list->count && list->items[i].number == number;
}

static void add(struct operator_list *list, const struct protector *protector)
{
    size_t i = place_of(list, protector->operator_number);

    if (!operators_have(list, protector->operator_number)) {
        memmove(&list->items[i + 1], &list->items[i], (list->count - i) * sizeof(list->items[0]));
        list->items[i].number = protector->operator_number;
        list->items[i].label[0] = '\0';
        list->count++;
    }
    if (list->items[i].label[0])
        return;
    memcpy(list->items[i].label, protector->label, sizeof(list->items[i].label));
    branch_label_clean(list->items[i].label);
}

void operators_add(struct operator_list *list, const struct protector_list *protectors)
{
    for (size_t i = 0; i < protectors->count; i++) {
        const struct protector *protector = &protectors->items[i];

        if (protector->kind == PROTECTOR_TPM2_PIN && protector->operator_number >= 1 &&
            protector->operator_number <= PROTECTOR_OPERATOR_MAX)
            add(list, protector);
    }
}

unsigned operators_smallest_free(const struct operator_list *list)
{
    for (unsigned number = 1; number <= PROTECTOR_OPERATOR_MAX; number++)
        if (!operators_have(list, number))
            return number;
    return 0;
}

/* At most LABEL_SHOWN bytes, but no part of a character. */
static int shown_bytes(const char *label)
{
    size_t length = strlen(label);

    if (length <= LABEL_SHOWN)
        return (int)length;
    length = LABEL_SHOWN;
    while (length > 0 && ((unsigned char)label[length] & 0xc0) == 0x80)
        length--;
    return (int)length;
}

void operators_prompt(const struct operator_list *list, unsigned preset, char ret[OPERATOR_PROMPT_TEXT])
{
    const size_t room = OPERATOR_PROMPT_TEXT - PRESET_TEXT - sizeof(MORE);
    size_t used = (size_t)snprintf(ret, OPERATOR_PROMPT_TEXT, "Operator (");

    for (size_t i = 0; i < list->count; i++) {
        const char *label = list->items[i].label;
        char one[LABEL_SHOWN + 8];
        int length = snprintf(one, sizeof(one), "%s%u%s%.*s", i ? ", " : "", list->items[i].number, label[0] ? " " : "",
                              shown_bytes(label), label);

        if (used + (size_t)length > room) {
            used += (size_t)snprintf(ret + used, OPERATOR_PROMPT_TEXT - used, MORE);
            break;
        }
        used += (size_t)snprintf(ret + used, OPERATOR_PROMPT_TEXT - used, "%s", one);
    }
    if (preset)
        snprintf(ret + used, OPERATOR_PROMPT_TEXT - used, ", Enter for %u)", preset);
    else
        snprintf(ret + used, OPERATOR_PROMPT_TEXT - used, ")");
}

bool operator_parse(const char *text, size_t size, unsigned *ret)
{
    unsigned number = 0;
    size_t digits = 0;

    while (size > 0 && *text == ' ') {
        text++;
        size--;
    }
    while (size > 0 && text[size - 1] == ' ')
        size--;
    for (; digits < size && digits < 3 && text[digits] >= '0' && text[digits] <= '9'; digits++)
        number = number * 10 + (unsigned)(text[digits] - '0');
    if (digits == 0 || digits > 2 || digits < size || number < 1)
        return false;
    *ret = number;
    return true;
}
