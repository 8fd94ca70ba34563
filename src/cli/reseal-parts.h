/* The parts of `bootseal reseal`: reseal.c has the verb and the ways that look back, reseal-predict.c the one that
 * looks ahead, reseal-hook.c what is different when an update hook calls. */
#pragma once

#include "cli/verb.h"
#include "protect/reseal.h"
#include "protect/update/hook.h"

/* One way of resealing. `hook` is NULL when a person calls. */
typedef int (*reseal_action)(const struct call *call, const struct update_hook *hook, struct error *error);

/*
 * Approves the boots that the machine may choose next, and says so. An error also when the next boot is not covered;
 * with
 * --or-suspend, or a hook whose policy says so, it is then let through by a suspension.
 */
int reseal_predict(const struct call *call, const struct update_hook *hook, struct error *error);

/* Acts. With --hook a machine on which nothing is enrolled is left alone, and a failure follows the policy's
 * "on_failure". */
int reseal_as_hook(const struct call *call, reseal_action act, struct error *error);

/* The line, and the fields of --json, that every way prints. */
void reseal_print_line(const struct reseal_result *result);
int reseal_to_json(const struct reseal_result *result, struct json_object *object, struct error *error);
