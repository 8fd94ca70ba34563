/*
 * Operators: people who each have a PIN of their own on a volume. A PIN that were tried on another one's object would
 * count as a wrong one, so where a volume has several, a number is typed before the PIN and says whose it is. Numbers
 * and labels come from the header, which anyone may have written: a number only chooses among the volume's protectors,
 * and a label is only shown.
 */
#pragma once

#include "base/secret.h"
#include "luks/token.h"

#define OPERATOR_PROMPT_TEXT 200

struct operator_list {
    struct {
        unsigned number;
        char label[PROTECTOR_LABEL_MAX + 1]; /* well-formed UTF-8 without control characters; may be empty */
    } items[PROTECTOR_OPERATOR_MAX];         /* in order of their numbers, each one once */
    size_t count;
};

/* Adds those of a volume's protectors that have a PIN. Of several labels for one number the first counts. */
void operators_add(struct operator_list *list, const struct protector_list *protectors);

bool operators_have(const struct operator_list *list, unsigned number);

/* The smallest number that is not there, or 0. */
unsigned operators_smallest_free(const struct operator_list *list);

/* The question: "Operator (1 Anna, 2 Bert)", with ", Enter for 1" when `preset` is not 0. Long labels are cut, and so
 * is a long list; one short line in any case. */
void operators_prompt(const struct operator_list *list, unsigned preset, char ret[OPERATOR_PROMPT_TEXT]);

/* A number as a person types it: one or two digits, blanks around them. False for anything else. */
bool operator_parse(const char *text, size_t size, unsigned *ret);
