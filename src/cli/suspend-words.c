#include "cli/suspend-words.h"

#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>

static uint64_t ms_left(const struct suspension *suspension, const struct suspension_time *now)
{
    return suspension->clock_ms > now->clock_ms ? suspension->clock_ms - now->clock_ms : 0;
}

static size_t put_time(uint64_t ms, char *ret, size_t size)
{
    uint64_t minutes = (ms + 59999) / 60000, hours = minutes / 60;

    if (hours >= 48)
        return (size_t)snprintf(ret, size, "%" PRIu64 " days", hours / 24);
    if (hours)
        return (size_t)snprintf(ret, size, "%" PRIu64 " h %" PRIu64 " min", hours, minutes % 60);
    return (size_t)snprintf(ret, size, "%" PRIu64 " min", minutes);
}

void suspension_left_words(const struct suspension *suspension, const struct suspension_time *now,
                           char ret[SUSPENSION_TEXT])
{
    unsigned left = suspension_reboots_left(suspension, now);
    size_t length;

    if (!left) {
        snprintf(ret, SUSPENSION_TEXT, "over");
        return;
    }
    length = (size_t)snprintf(ret, SUSPENSION_TEXT, "%u %s left", left, left == 1 ? "reboot" : "reboots");
    if (!suspension->has_clock)
        return;
    length += (size_t)snprintf(ret + length, SUSPENSION_TEXT - length, ", within ");
    length += put_time(ms_left(suspension, now), ret + length, SUSPENSION_TEXT - length);
    snprintf(ret + length, SUSPENSION_TEXT - length, " of powered time");
}

void suspend_print_line(const struct suspend_result *result)
{
    char left[SUSPENSION_TEXT];

    suspension_left_words(&result->suspension, &result->now, left);
    printf("%ssuspended: %s, on %zu %s; the PIN is asked for as always%s\n", result->kept ? "already " : "", left,
           result->volumes, result->volumes == 1 ? "volume" : "volumes",
           result->suspension.then_reseal ? ", and what boots is approved afterwards" : "");
}

int suspension_add_json(struct json_object *object, const struct suspension *suspension,
                        const struct suspension_time *now, struct error *error)
{
    struct json_object *inner;
    int r;

    if (!suspension)
        return json_add_null(object, "suspension", error);
    inner = json_object_new_object();
    r = json_add(object, "suspension", inner, error);
    r = r ?: json_add_text(inner, "purpose", suspend_purpose_name(suspension->purpose), error);
    r = r ?: json_add(inner, "reboots_left", json_object_new_int64(suspension_reboots_left(suspension, now)), error);
    if (!r && suspension->has_clock)
        r = json_add(inner, "seconds_left", json_object_new_int64((int64_t)(ms_left(suspension, now) / 1000)), error);
    else
        r = r ?: json_add_null(inner, "seconds_left", error);
    r = r ?: json_add(inner, "this_boot", json_object_new_boolean(suspension_covers_running(suspension, now)), error);
    r = r ?: json_add(inner, "then_reseal", json_object_new_boolean(suspension->then_reseal), error);
    return r ?: json_add(inner, "without_pin", json_object_new_boolean(suspension->without_pin), error);
}
