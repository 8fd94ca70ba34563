/* What `suspend`, `resume`, `status` and `reseal --or-suspend` say of a suspension. */
#pragma once

#include "protect/suspend.h"

#include <json-c/json.h>

/* "2 reboots left", "2 reboots left, and 1 h 59 min of powered time", "over"; never more than SUSPENSION_TEXT bytes. */
#define SUSPENSION_TEXT 96
void suspension_left_words(const struct suspension *suspension, const struct suspension_time *now,
                           char ret[SUSPENSION_TEXT]);

/* The line for people, on standard output. */
void suspend_print_line(const struct suspend_result *result);

/* Adds "suspension": an object; null without one. */
int suspension_add_json(struct json_object *object, const struct suspension *suspension,
                        const struct suspension_time *now, struct error *error);
